"""The pump: moves the events of the bus into the inbox of one service.

The position on the bus is stored in one transaction with the events before it. Events without a
handler are not stored. The position after them is stored once no other event follows.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from shared.bus import Bus, Message, Reader, Record
from shared.errors import InvalidRequest, SuiteError, Unavailable
from shared.events import (
    REASON_CHARACTERS,
    TYPES,
    Envelope,
    Event,
    UnknownEvent,
    bare_event,
    open_envelope,
    read_envelope,
)
from shared.messaging.inbox import LIMIT, Inbox, NewEntry, Queue
from shared.metrics import dead_letters_total

log = logging.getLogger(__name__)

IDLE_POLL = 0.5
UPKEEP = 15.0
"""Seconds between two checks of the clock and of the inbox's size, and between two commits."""


class Pump:
    """The reader of one service.

    Args:
        name: the service, and its group on the bus.
        handled: types of events that the service handles.
        large: whether an event goes to the queue of large ones.
        decisions: types that go to the queue `decisions`.
        beat: called in each round of the loop.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        bus: Bus,
        handled: Collection[type[Event]],
        large: Callable[[Event], bool] = lambda _event: False,
        decisions: Collection[type[Event]] = (),
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.inbox = inbox
        self.bus = bus
        self.handled = handled
        self.large = large
        self.decisions = decisions
        self.beat = beat
        self._reader: Reader | None = None
        self._positions: dict[str, int] = {}
        """The next position of each log."""
        self._stored = True
        """Whether the database has them."""
        self._upkeep_at = 0.0
        self._full = False

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. It waits while the bus or the database is down."""
        pause = 0.5
        while not stop.is_set():
            try:
                self.run_once(IDLE_POLL)
                pause = 0.5
                if self._full:
                    stop.wait(IDLE_POLL)
            except Unavailable as error:
                log.warning("the pump waits", extra={"reason": error.message})
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
            except Exception:
                log.exception("the pump failed; it continues")
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
        self.close()

    def run_once(self, timeout: float = 0.0) -> int:
        """Move some events; wait at most `timeout` seconds. Returns how many were read."""
        self.beat()
        self._keep_up()
        if self._full:
            self.close()  # so that the bus does not wait for this reader
            return 0
        try:
            return self._move(timeout)
        except BaseException:
            self.close()  # events that are not stored are read again
            raise

    def _move(self, timeout: float) -> int:
        if self._reader is None:
            self._positions, self._stored = {}, True
            self._reader = self.bus.reader(self.name, self.inbox.positions)
        records = self._reader.read(timeout)
        entries = [entry for record in records for entry in self._entries(record.message)]
        self._positions |= {record.log: record.offset + 1 for record in records}
        self._stored = self._stored and not records
        if entries or not (records or self._stored):
            self._insert(entries, records)
            self._stored = True
        return len(records)

    def close(self) -> None:
        """Leave the group."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.close()
            except SuiteError as error:
                log.warning("the reader did not close cleanly", extra={"reason": error.message})

    def _keep_up(self) -> None:
        if time.monotonic() < self._upkeep_at:
            return
        self._upkeep_at = time.monotonic() + UPKEEP
        if self._reader is not None and self._stored:
            self._reader.commit(self._positions)
        self.inbox.mend_times()
        full = self.inbox.unfinished() > LIMIT
        if full and not self._full:
            log.warning("the inbox is full: events wait on the bus", extra={"limit": LIMIT})
        self._full = full

    def _insert(self, entries: Sequence[NewEntry], records: Sequence[Record]) -> None:
        try:
            self.inbox.insert(entries, self._positions)
        except InvalidRequest:  # an id or a key that no database can store
            for record in records:
                try:
                    self.inbox.insert(self._entries(record.message))
                except InvalidRequest as error:
                    self.inbox.insert([self._poison(record.message, error)])
            self.inbox.insert([], self._positions)

    def _entries(self, message: Message) -> Iterator[NewEntry]:
        try:
            envelope = read_envelope(message.value)
            kind = TYPES.get(envelope.type)
            if kind is None or not (kind in self.handled or kind in self.decisions):
                return
            event, queue = self._opened(envelope, kind)
        except UnknownEvent as error:
            yield self._poison(message, error)
            return
        if kind in self.handled:
            yield NewEntry(event.id, queue, event.key, event.type, message.value)
        if kind in self.decisions:
            yield NewEntry(event.id, "decisions", event.key, event.type, message.value)

    def _opened(self, envelope: Envelope, kind: type[Event]) -> tuple[Event, Queue]:
        """Return the event and its queue; a worker gives up one with invalid data."""
        try:
            event = open_envelope(envelope, kind)
        except UnknownEvent:
            return bare_event(envelope, kind), "main"
        return event, "large" if self.large(event) else "main"

    def _poison(self, message: Message, error: SuiteError) -> NewEntry:
        """Return a dead letter for a message without a valid document."""
        log.warning("not an event", extra={"key": message.key, "reason": error.message})
        dead_letters_total.labels(self.name).inc()
        named = f"{message.key}\0".encode("utf-8", "replace") + message.value
        return NewEntry(
            event_id=hashlib.sha256(named).hexdigest(),
            queue="main",
            key=printable(message.key)[:128],
            type="",
            value=message.value,
            error=printable(error.message),
        )


def printable(words: str) -> str:
    """Replace characters that no database or bus can store; shorten a long text."""
    plain = words.encode("utf-8", "replace").decode().replace("\0", "?")
    return plain if len(plain) <= REASON_CHARACTERS else plain[: REASON_CHARACTERS - 1] + "…"
