"""Handlers that fail, crash or wait, what they leave behind, and parts that are away."""

import json
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from shared.bus import Bus, Message
from shared.errors import Unavailable
from shared.events import DocumentDeleted, DocumentFailed, Event, decode
from shared.messaging import DeadLetter, Inbox, UnitOfWork
from shared.messaging.tables import outbox
from shared.storage import Store
from tests.support.queue import HandWorker, unfinished

NOTE = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))


class Crash(BaseException):
    """The process ends here."""


def send(bus: Bus, *events: Event) -> None:
    """Publish events as ingest would."""
    bus.publish(*(Message(event.key, event.to_json("ingest")) for event in events))


def keep(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """A handler that notes the document."""
    with uow:
        uow.session.execute(insert(NOTE).values(text=event.document_id))


def notes(store: Store) -> list[str]:
    """The documents that `keep` has noted, in order."""
    with store.read() as session:
        return list(session.execute(select(NOTE.c.text).order_by(NOTE.c.id)).scalars())


def announced(store: Store) -> list[DocumentFailed]:
    """The failures that were announced, in order."""
    with store.read() as session:
        rows = session.execute(select(outbox.c.value).order_by(outbox.c.number)).scalars()
        events = [decode(bytes(row)) for row in rows]
    return [event for event in events if isinstance(event, DocumentFailed)]


def work_for(worker: HandWorker, true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Work on event after event until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "worked in vain"
        worker.run_once(0.01)


def waiting(bus: Bus, store: Store) -> int:
    """Events on the bus or in the inbox that are not handled."""
    return bus.lag(Inbox(store).positions()) + unfinished(store)


def why(letter: DeadLetter) -> str:
    """Why it was given up; below that stands where the error came from."""
    return letter.error.splitlines()[0]


class Fails:
    """A handler that fails so many times, then does its work."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self, event: DocumentDeleted, uow: UnitOfWork) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        keep(event, uow)


class Away:
    """A store, bus or consumer that is away for a while."""

    def __init__(self, real: Any, name: str, times: int, error: Exception | None = None) -> None:
        self._real, self._name, self.left = real, name, times
        self._error = error or Unavailable(f"{name} does not answer")

    def __getattr__(self, name: str) -> Any:
        if name == self._name and self.left:
            self.left -= 1
            raise self._error
        return getattr(self._real, name)


def damaged(event: Event, **data: object) -> Message:
    """The message of an event whose data do not fit its type."""
    message = json.loads(event.to_json("ingest"))
    message["data"] = data
    return Message(event.key, json.dumps(message).encode())
