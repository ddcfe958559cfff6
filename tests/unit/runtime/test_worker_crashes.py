"""What the worker makes of crashes, and of what was given up and comes again; on two buses."""

from typing import Any

import pytest
from sqlalchemy import insert, update

from shared.bus import Bus
from shared.errors import UnreadableDocument
from shared.events import DocumentDeleted
from shared.storage import Store, UnitOfWork
from shared.storage.messages import inbox
from tests.unit.runtime.working import (
    NOTE,
    Crash,
    Fails,
    Falls,
    Loses,
    announced,
    keep,
    notes,
    send,
    why,
    work_for,
)


def test_a_replayed_dead_letter_is_worked_on(store: Store, bus: Bus, make_worker: Any) -> None:
    """Once the cause is mended, a replay has all its tries again and takes effect."""
    handler = Fails(4, ValueError("a bug"))
    send(bus, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentDeleted: handler})
    work_for(worker, lambda: len(bus.dead_letters()) == 1)
    bus.replay(bus.dead_letters()[0].id)
    work_for(worker, lambda: notes(store) == ["a"])
    assert handler.calls == 5
    assert bus.dead_letters() == []


def test_a_crash_in_a_handler_repeats_it(store: Store, bus: Bus, make_worker: Any) -> None:
    """Before the commit nothing is kept: another worker does the whole work."""

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.session.execute(insert(NOTE).values(text="half"))
            raise Crash

    send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: crash})
    with pytest.raises(Crash):
        dying.run_once()
    dying._drop_consumer()
    make_worker({DocumentDeleted: keep}).run_until_idle()
    assert notes(store) == ["a"]


def test_a_crash_between_commit_and_ack_does_not_repeat_the_effect(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """After the commit the event comes again, is recognised, and acknowledged."""

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        keep(event, uow)
        raise Crash

    send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: crash})
    with pytest.raises(Crash):
        dying.run_once()
    dying._drop_consumer()
    assert bus.lag("extraction") == 1
    assert make_worker({DocumentDeleted: keep}).run_until_idle() == 1
    assert notes(store) == ["a"]
    assert bus.lag("extraction") == 0


def test_an_event_that_kills_its_workers_is_given_up(
    store: Store, bus: Bus, make_worker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Tries that end in a crash are counted, so that one document can't kill workers for ever; the
    log says what is begun again.
    """

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        raise Crash

    send(bus, DocumentDeleted(document_id="a"))
    for _ in range(2):
        dying = make_worker({DocumentDeleted: crash})
        with pytest.raises(Crash):
            dying.run_once()
        dying._drop_consumer()
    begun_again = [record for record in caplog.records if "never ended" in record.message]
    assert [record.before for record in begun_again] == [1]  # type: ignore[attr-defined]
    make_worker({DocumentDeleted: crash}).run_until_idle()
    (failed,) = announced(store)
    assert failed.code == "worker_died"
    assert "2 tries" in failed.reason
    assert len(bus.dead_letters()) == 1


def test_a_crash_between_giving_up_and_burying_ends_the_same(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """The failure is announced first, and once; who comes next only buries the event."""
    handler = Fails(99, UnreadableDocument("damaged"))
    send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: handler})
    dying._consumer = Falls(bus.consumer("extraction"), "dead")
    with pytest.raises(Crash):
        dying.run_once()
    assert [x.code for x in announced(store)] == ["unreadable_document"]
    dying._drop_consumer()
    make_worker({DocumentDeleted: handler}).run_until_idle()
    assert handler.calls == 1
    assert [x.code for x in announced(store)] == ["unreadable_document"]
    assert [why(letter) for letter in bus.dead_letters()] == ["damaged"]
    assert bus.lag("extraction") == 0


def test_what_was_given_up_is_not_worked_on_when_it_comes_again(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A relay that died before its mark sends twice; the second is passed over."""
    handler = Fails(99, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    worker = make_worker({DocumentDeleted: handler})
    for _ in range(3):
        send(bus, event)
        work_for(worker, lambda: bus.lag("extraction") == 0)
    assert handler.calls == 1
    assert len(announced(store)) == len(bus.dead_letters()) == 1


def test_a_replay_that_is_delivered_before_its_letter_goes_starts_afresh(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A bus may deliver a replay a moment before the letter is off its list; it is not lost."""
    handler = Fails(1, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    send(bus, event)
    worker = make_worker({DocumentDeleted: handler})
    work_for(worker, lambda: len(bus.dead_letters()) == 1)
    send(bus, event)
    worker.run_once()
    bus.drop(bus.dead_letters()[0].id)
    work_for(worker, lambda: notes(store) == ["a"])
    assert (handler.calls, bus.lag("extraction")) == (2, 0)


def test_a_replay_after_a_crash_behind_the_burial_starts_afresh(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """The mark of the burial may be missing: the replayed letter is worked on all the same."""
    handler = Fails(1, UnreadableDocument("damaged"))
    send(bus, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentDeleted: handler})
    worker.run_until_idle()
    with store.write() as session:
        session.execute(update(inbox).values(buried=None))
    bus.replay(bus.dead_letters()[0].id)
    work_for(worker, lambda: notes(store) == ["a"])


def test_what_was_lost_as_it_was_given_up_is_buried_by_who_has_it(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A process that slept past its lease wrote no letter and notes none: the next one only buries,
    and the failure is announced once.
    """
    handler = Fails(99, UnreadableDocument("damaged"))
    send(bus, DocumentDeleted(document_id="a"))
    late = make_worker({DocumentDeleted: handler})
    consumer = bus.consumer("extraction")
    late._consumer = Loses(consumer)
    late.run_once()
    assert bus.dead_letters() == []
    make_worker({DocumentDeleted: handler}).run_until_idle()
    assert handler.calls == 1
    assert [x.code for x in announced(store)] == ["unreadable_document"]
    assert [why(letter) for letter in bus.dead_letters()] == ["damaged"]
    assert bus.lag("extraction") == 0


@pytest.mark.parametrize("looks", [2, 4])
def test_a_replay_whose_letter_goes_late_is_not_lost(
    store: Store, bus: Bus, make_worker: Any, looks: int
) -> None:
    """A broker may take many seconds to take the letter off the list."""
    handler = Fails(1, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    send(bus, event)
    worker = make_worker({DocumentDeleted: handler})
    work_for(worker, lambda: len(bus.dead_letters()) == 1)
    send(bus, event)
    for _ in range(looks):
        assert worker.run_once(5), "it is passed over"
    bus.drop(bus.dead_letters()[0].id)
    work_for(worker, lambda: notes(store) == ["a"])
    assert (handler.calls, bus.lag("extraction")) == (2, 0)
