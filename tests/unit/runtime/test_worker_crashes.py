"""The worker survives crashes, and handles given-up events that come again; on two buses."""

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import insert

from shared.bus import Bus
from shared.errors import UnreadableDocument
from shared.events import DocumentDeleted
from shared.messaging import Inbox, UnitOfWork
from shared.messaging.inbox import NewEntry
from shared.storage import Store
from tests.unit.runtime.working import (
    NOTE,
    Crash,
    Fails,
    announced,
    keep,
    notes,
    send,
    waiting,
    why,
)


def crash(_event: DocumentDeleted, _uow: UnitOfWork) -> None:
    """A handler in which the process dies."""
    raise Crash


def dies(worker: Any, inbox: Inbox) -> None:
    """The worker dies at its event, and its lease runs out."""
    with pytest.raises(Crash):
        worker.run_once()
    worker.pump.close()
    inbox.release()


def test_a_crash_in_a_handler_repeats_it(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    def half(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.session.execute(insert(NOTE).values(text="half"))
            raise Crash

    send(bus, DocumentDeleted(document_id="a"))
    dies(make_worker({DocumentDeleted: half}), inbox)
    make_worker({DocumentDeleted: keep}).run_until_idle()
    assert notes(store) == ["a"]


def test_a_crash_after_the_commit_does_not_repeat_the_effect(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    def late(event: DocumentDeleted, uow: UnitOfWork) -> None:
        keep(event, uow)
        raise Crash

    send(bus, DocumentDeleted(document_id="a"))
    dies(make_worker({DocumentDeleted: late}), inbox)
    assert make_worker({DocumentDeleted: keep}).run_until_idle() == 0
    assert (notes(store), waiting(bus, store)) == (["a"], 0)


def test_a_failure_after_the_commit_announces_nothing(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    def late(event: DocumentDeleted, uow: UnitOfWork) -> None:
        keep(event, uow)
        raise UnreadableDocument("damaged")

    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: late}).run_until_idle()
    assert (notes(store), announced(store), inbox.dead_letters()) == (["a"], [], [])


def test_a_crash_between_inbox_and_bus_does_not_repeat_the_effect(
    store: Store, bus: Bus, make_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: keep})
    insert = dying.inbox.insert

    def die(entries: Iterable[NewEntry], _positions: object) -> None:
        insert(entries)
        raise Crash

    monkeypatch.setattr(dying.inbox, "insert", die)
    with pytest.raises(Crash):
        dying.pump.run_once()
    assert make_worker({DocumentDeleted: keep}).run_until_idle() == 1
    assert (notes(store), waiting(bus, store)) == (["a"], 0)


def test_an_event_that_kills_its_workers_is_given_up(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    send(bus, DocumentDeleted(document_id="a"))
    for _ in range(2):
        dies(make_worker({DocumentDeleted: crash}), inbox)
    begun_again = [record for record in caplog.records if "never ended" in record.message]
    assert [record.before for record in begun_again] == [1]  # type: ignore[attr-defined]
    make_worker({DocumentDeleted: crash}).run_until_idle()
    (failed,) = announced(store)
    assert failed.code == "worker_died"
    assert "2 times" in failed.reason
    assert len(inbox.dead_letters()) == 1


def test_what_was_given_up_is_not_worked_on_when_it_comes_again(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(99, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    worker = make_worker({DocumentDeleted: handler})
    for _ in range(3):
        send(bus, event)
        worker.run_until_idle()
    assert handler.calls == 1
    assert len(announced(store)) == len(inbox.dead_letters()) == 1


def test_a_worker_that_lost_its_event_gives_nothing_up(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    def slow(event: DocumentDeleted, uow: UnitOfWork) -> None:
        if len(slept) < 1:
            slept.append(event)
            inbox.release()
            make_worker({DocumentDeleted: slow}).run_until_idle()
        raise UnreadableDocument("damaged")

    slept: list[DocumentDeleted] = []
    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: slow}).run_until_idle()
    assert [x.code for x in announced(store)] == ["unreadable_document"]
    assert [why(letter) for letter in inbox.dead_letters()] == ["damaged"]
    assert waiting(bus, store) == 0
