"""What the worker makes of success, failure, crash and poison; each on two buses."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from shared.bus import Bus, DeadLetter, Message
from shared.errors import Unavailable, UnreadableDocument
from shared.events import (
    BlobRef,
    DocumentBegun,
    DocumentDeleted,
    DocumentFailed,
    DocumentRekinded,
    Event,
    decode,
)
from shared.runtime import Worker
from shared.settings import CommonSettings
from shared.storage import Store, UnitOfWork, begin_try
from shared.storage.messages import inbox, outbox

NOTE = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))


class Crash(BaseException):
    """The process ends here."""


def _send(bus: Bus, *events: Event) -> None:
    bus.publish(*(Message(event.key, event.to_json("ingest")) for event in events))


def _keep(event: DocumentDeleted, uow: UnitOfWork) -> None:
    with uow:
        uow.session.execute(insert(NOTE).values(text=event.document_id))


def _notes(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.execute(select(NOTE.c.text).order_by(NOTE.c.id)).scalars())


def _announced(store: Store) -> list[DocumentFailed]:
    with store.read() as session:
        rows = session.execute(select(outbox.c.value).order_by(outbox.c.number)).scalars()
        events = [decode(bytes(row)) for row in rows]
    return [event for event in events if isinstance(event, DocumentFailed)]


def _work_for(worker: Worker, true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "worked in vain"
        worker.run_once(0.01)


def _reason(letter: DeadLetter) -> str:
    """Why it was given up; below that stands where the error came from."""
    return letter.error.splitlines()[0]


class Fails:
    """A handler that fails so many times, then does its work."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self, event: DocumentDeleted, uow: UnitOfWork) -> None:
        """Fail, or keep."""
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        _keep(event, uow)


def test_an_event_is_handled_and_acknowledged(store: Store, bus: Bus, make_worker: Any) -> None:
    """The work is done once, and nothing waits any more."""
    _send(bus, DocumentDeleted(document_id="a"), DocumentDeleted(document_id="b"))
    assert make_worker({DocumentDeleted: _keep}).run_until_idle() == 2
    assert sorted(_notes(store)) == ["a", "b"]
    assert bus.lag("extraction") == 0


def test_other_types_are_passed_over(store: Store, bus: Bus, make_worker: Any) -> None:
    """What is not for this service, or not known at all, is acknowledged and leaves no trace."""
    _send(bus, DocumentRekinded(document_id="a", kind="report", previous="contract"))
    newer = DocumentDeleted(document_id="a").to_json("ingest").replace(b"deleted.v1", b"burnt.v7")
    bus.publish(Message("default/a", newer))
    assert make_worker({DocumentDeleted: _keep}).run_until_idle() == 2
    assert (bus.lag("extraction"), bus.dead_letters(), _announced(store)) == (0, [], [])


def test_poison_is_buried_and_holds_up_nobody(store: Store, bus: Bus, make_worker: Any) -> None:
    """Bytes that are no event become a dead letter at once; the same key goes on."""
    bus.publish(Message("default/a", b"\x00 not an event"))
    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: _keep}).run_until_idle()
    (letter,) = bus.dead_letters("extraction")
    assert letter.message.value == b"\x00 not an event"
    assert "not an event" in letter.error
    assert _notes(store) == ["a"]


def test_an_event_delivered_twice_is_handled_once(store: Store, bus: Bus, make_worker: Any) -> None:
    """The inbox recognises an event that comes again."""
    event = DocumentDeleted(document_id="a")
    _send(bus, event, event)
    assert make_worker({DocumentDeleted: _keep}).run_until_idle() == 2
    assert _notes(store) == ["a"]
    assert bus.lag("extraction") == 0


def test_a_bug_that_passes_is_tried_again(store: Store, bus: Bus, make_worker: Any) -> None:
    """Unknown errors are tried again, and success forgets them."""
    handler = Fails(2, ValueError("a bug"))
    _send(bus, DocumentDeleted(document_id="a"))
    _work_for(make_worker({DocumentDeleted: handler}), lambda: _notes(store) == ["a"])
    assert handler.calls == 3
    assert (bus.dead_letters(), _announced(store)) == ([], [])


def test_while_one_waits_for_its_retry_others_go_on(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A document that fails holds up itself alone, and its own later events stay behind it."""
    handler = Fails(1, ValueError("a bug"))
    first, later = DocumentDeleted(document_id="a"), DocumentDeleted(document_id="a", actor="later")
    _send(bus, first, later, DocumentDeleted(document_id="b"))
    worker = make_worker({DocumentDeleted: handler})
    _work_for(worker, lambda: len(_notes(store)) == 3)
    assert _notes(store)[0] in ("a", "b")
    assert sorted(_notes(store)) == ["a", "a", "b"]


def test_a_bug_that_stays_is_given_up(store: Store, bus: Bus, make_worker: Any) -> None:
    """After the last try the failure is announced, and the event becomes a dead letter."""
    handler = Fails(99, ValueError("a bug"))
    event = DocumentDeleted(document_id="a", trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    _send(bus, event, DocumentDeleted(document_id="b"))
    worker = make_worker({DocumentDeleted: handler})
    _work_for(worker, lambda: len(bus.dead_letters()) == 2)
    assert handler.calls == 6
    letter = next(x for x in bus.dead_letters() if x.message.key == event.key)
    reason = f"an internal error in extraction; the log has it under event {event.id}"
    assert (letter.group, _reason(letter), letter.attempts) == ("extraction", reason, 3)
    failed = next(x for x in _announced(store) if x.document_id == "a")
    assert failed.reason == reason
    assert (failed.stage, failed.code, failed.cause) == ("extraction", "internal", event.id)
    assert failed.trace == event.trace
    assert bus.lag("extraction") == 0


def test_a_lasting_error_is_given_up_at_once(store: Store, bus: Bus, make_worker: Any) -> None:
    """What no further try can mend is not tried again; its own code and sentence are announced."""
    handler = Fails(99, UnreadableDocument("the text of a is damaged", document="a"))
    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: handler}).run_until_idle()
    (failed,) = _announced(store)
    assert handler.calls == 1
    assert (failed.code, failed.reason) == ("unreadable_document", "the text of a is damaged")
    assert [_reason(letter) for letter in bus.dead_letters()] == ["the text of a is damaged"]


@pytest.mark.parametrize("error", [ValueError("a bug"), UnreadableDocument("damaged")])
def test_a_failure_over_first_pages_fails_no_document(
    store: Store, bus: Bus, make_worker: Any, error: Exception
) -> None:
    """The document itself is still to come; the dead letter says what there was."""
    text = BlobRef(sha256="0" * 64, size=4)
    begun = DocumentBegun(document_id="a", kind="contract", text=text, pages=(1,), starts=(0,))
    _send(bus, begun, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentBegun: Fails(99, error), DocumentDeleted: _keep})
    _work_for(worker, lambda: _notes(store) == ["a"])
    assert _announced(store) == []
    assert len(bus.dead_letters()) == 1


def test_what_is_away_is_waited_for(store: Store, bus: Bus, make_worker: Any) -> None:
    """A dependency that does not answer costs no document, however often it is asked."""
    handler = Fails(8, Unavailable("the frontier is away"))
    _send(bus, DocumentDeleted(document_id="a"))
    _work_for(make_worker({DocumentDeleted: handler}), lambda: _notes(store) == ["a"])
    assert handler.calls == 9
    assert (bus.dead_letters(), _announced(store)) == ([], [])


def test_where_it_is_known_when_to_come_again_it_comes_then(
    store: Store, bus: Bus, settings: CommonSettings
) -> None:
    """And not as often as it fails, nor later and later."""
    handler = Fails(2, Unavailable("there is room in half a second", wait=0.5))
    often = settings.model_copy(update={"retry_delay_most": 60.0})
    _send(bus, DocumentDeleted(document_id="a"))
    began = time.monotonic()
    _work_for(
        Worker("extraction", store, bus, {DocumentDeleted: handler}, often),
        lambda: _notes(store) == ["a"],
    )
    assert 1.0 <= time.monotonic() - began < 8.0
    assert handler.calls == 3


def test_a_replayed_dead_letter_is_worked_on(store: Store, bus: Bus, make_worker: Any) -> None:
    """Once the cause is mended, a replay has all its tries again and takes effect."""
    handler = Fails(4, ValueError("a bug"))
    _send(bus, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentDeleted: handler})
    _work_for(worker, lambda: len(bus.dead_letters()) == 1)
    bus.replay(bus.dead_letters()[0].id)
    _work_for(worker, lambda: _notes(store) == ["a"])
    assert handler.calls == 5
    assert bus.dead_letters() == []


def test_a_crash_in_a_handler_repeats_it(store: Store, bus: Bus, make_worker: Any) -> None:
    """Before the commit nothing is kept: another worker does the whole work."""

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.session.execute(insert(NOTE).values(text="half"))
            raise Crash

    _send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: crash})
    with pytest.raises(Crash):
        dying.run_once()
    dying._drop_consumer()
    make_worker({DocumentDeleted: _keep}).run_until_idle()
    assert _notes(store) == ["a"]


def test_a_crash_between_commit_and_ack_does_not_repeat_the_effect(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """After the commit the event comes again, is recognised, and acknowledged."""

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        _keep(event, uow)
        raise Crash

    _send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: crash})
    with pytest.raises(Crash):
        dying.run_once()
    dying._drop_consumer()
    assert bus.lag("extraction") == 1
    assert make_worker({DocumentDeleted: _keep}).run_until_idle() == 1
    assert _notes(store) == ["a"]
    assert bus.lag("extraction") == 0


def test_an_event_that_kills_its_workers_is_given_up(
    store: Store, bus: Bus, make_worker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Tries that end in a crash are counted, so that one document can't kill workers for ever; the
    log says what is begun again.
    """

    def crash(event: DocumentDeleted, uow: UnitOfWork) -> None:
        raise Crash

    _send(bus, DocumentDeleted(document_id="a"))
    for _ in range(2):
        dying = make_worker({DocumentDeleted: crash})
        with pytest.raises(Crash):
            dying.run_once()
        dying._drop_consumer()
    begun_again = [record for record in caplog.records if "never ended" in record.message]
    assert [record.before for record in begun_again] == [1]  # type: ignore[attr-defined]
    make_worker({DocumentDeleted: crash}).run_until_idle()
    (failed,) = _announced(store)
    assert failed.code == "worker_died"
    assert "2 tries" in failed.reason
    assert len(bus.dead_letters()) == 1


class Falls:
    """Crashes its caller when one thing is asked of it."""

    def __init__(self, real: Any, name: str) -> None:
        self._real, self._name = real, name

    def __getattr__(self, name: str) -> Any:
        """The real thing, except for what crashes."""
        if name == self._name:
            raise Crash
        return getattr(self._real, name)


def test_a_crash_between_giving_up_and_burying_ends_the_same(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """The failure is announced first, and once; who comes next only buries the event."""
    handler = Fails(99, UnreadableDocument("damaged"))
    _send(bus, DocumentDeleted(document_id="a"))
    dying = make_worker({DocumentDeleted: handler})
    dying._consumer = Falls(bus.consumer("extraction"), "dead")
    with pytest.raises(Crash):
        dying.run_once()
    assert [x.code for x in _announced(store)] == ["unreadable_document"]
    dying._drop_consumer()
    make_worker({DocumentDeleted: handler}).run_until_idle()
    assert handler.calls == 1
    assert [x.code for x in _announced(store)] == ["unreadable_document"]
    assert [_reason(letter) for letter in bus.dead_letters()] == ["damaged"]
    assert bus.lag("extraction") == 0


def test_what_was_given_up_is_not_worked_on_when_it_comes_again(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A relay that died before its mark sends twice; the second is passed over."""
    handler = Fails(99, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    worker = make_worker({DocumentDeleted: handler})
    for _ in range(3):
        _send(bus, event)
        _work_for(worker, lambda: bus.lag("extraction") == 0)
    assert handler.calls == 1
    assert len(_announced(store)) == len(bus.dead_letters()) == 1


def test_a_replay_that_is_delivered_before_its_letter_goes_starts_afresh(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A bus may deliver a replay a moment before the letter is off its list; it is not lost."""
    handler = Fails(1, UnreadableDocument("damaged"))
    event = DocumentDeleted(document_id="a")
    _send(bus, event)
    worker = make_worker({DocumentDeleted: handler})
    _work_for(worker, lambda: len(bus.dead_letters()) == 1)
    _send(bus, event)
    worker.run_once()
    bus.drop(bus.dead_letters()[0].id)
    _work_for(worker, lambda: _notes(store) == ["a"])
    assert (handler.calls, bus.lag("extraction")) == (2, 0)


def test_a_replay_after_a_crash_behind_the_burial_starts_afresh(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """The mark of the burial may be missing: the replayed letter is worked on all the same."""
    handler = Fails(1, UnreadableDocument("damaged"))
    _send(bus, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentDeleted: handler})
    worker.run_until_idle()
    with store.write() as session:
        session.execute(update(inbox).values(buried=None))
    bus.replay(bus.dead_letters()[0].id)
    _work_for(worker, lambda: _notes(store) == ["a"])


def _damaged(event: Event, **data: object) -> Message:
    """The message of an event whose data do not fit its type."""
    message = json.loads(event.to_json("ingest"))
    message["data"] = data
    return Message(event.key, json.dumps(message).encode())


REKINDED = DocumentRekinded(
    tenant="default",
    document_id="a",
    kind="report",
    previous="contract",
    trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
)


def test_data_that_do_not_fit_end_the_document(store: Store, bus: Bus, make_worker: Any) -> None:
    """Its envelope names the document, so the failure is announced beside the dead letter."""
    handler = Fails(0, ValueError())
    bus.publish(_damaged(REKINDED, kind="novel", previous="contract", attempt=3))
    make_worker({DocumentRekinded: handler}).run_until_idle()
    (failed,) = _announced(store)
    assert (failed.tenant, failed.document_id, failed.trace) == ("default", "a", REKINDED.trace)
    assert (failed.code, failed.cause) == ("unknown_event", REKINDED.id)
    assert "kind" in failed.reason
    assert "novel" not in failed.reason
    assert len(bus.dead_letters("extraction")) == 1
    assert handler.calls == 0


def test_data_of_a_type_that_is_not_handled_are_not_looked_at(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """What a newer release sends to others is no concern of this service."""
    bus.publish(_damaged(REKINDED, kind="novel"))
    make_worker({DocumentDeleted: _keep}).run_until_idle()
    assert (bus.lag("extraction"), bus.dead_letters(), _announced(store)) == (0, [], [])


def test_an_envelope_without_a_document_is_buried_alone(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """An id that no event can have ends nothing, and holds up nobody."""
    message = json.loads(DocumentDeleted(document_id="a").to_json("ingest")) | {"subject": "a" * 65}
    bus.publish(Message("default/a", json.dumps(message).encode()))
    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: _keep}).run_until_idle()
    assert (_notes(store), _announced(store), len(bus.dead_letters())) == (["a"], [], 1)


@pytest.mark.parametrize("error", [ValueError("a bug"), UnreadableDocument("damaged")])
def test_failing_at_a_failure_announces_no_failure(
    store: Store, bus: Bus, make_worker: Any, error: Exception
) -> None:
    """Otherwise each failure would beget the next, without end."""

    def fail(event: DocumentFailed, uow: UnitOfWork) -> None:
        raise error

    told = DocumentFailed(document_id="a", stage="triage", code="odd", reason="why")
    _send(bus, told)
    worker = make_worker({DocumentFailed: fail})
    _work_for(worker, lambda: len(bus.dead_letters()) == 1)
    bus.publish(_damaged(told, code=7))
    _work_for(worker, lambda: bus.lag("extraction") == 0)
    assert _announced(store) == []


def test_a_reason_without_end_is_announced_shortened(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A failure that can't be announced would leave its document without an outcome."""
    handler = Fails(99, UnreadableDocument("x" * 3_000_000))
    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: handler}).run_until_idle()
    (failed,) = _announced(store)
    assert failed.reason == "x" * 1999 + "…"


def test_a_reason_that_no_database_keeps_is_announced_without_its_odd_characters(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """NUL and half characters, quoted from a document, must not keep it from ending."""
    handler = Fails(99, UnreadableDocument("the name a\0b\ud800c is odd"))
    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: handler}).run_until_idle()
    assert [x.reason for x in _announced(store)] == ["the name a?b?c is odd"]
    assert [_reason(letter) for letter in bus.dead_letters()] == ["the name a?b?c is odd"]


def test_an_event_that_is_too_large_fails_its_document(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    """A handler that announces more than an event may hold is given up at once."""

    def shout(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.publish(DocumentDeleted(document_id="a", actor="x" * 256_000))

    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: shout}).run_until_idle()
    assert [x.code for x in _announced(store)] == ["event_too_large"]


def test_a_store_that_is_away_after_the_work_is_no_crash(
    store: Store, bus: Bus, settings: Any
) -> None:
    """Failures are kept in mind until they can be counted, so that outages cost no document."""
    handler = Fails(6, Unavailable("the frontier is away"))
    away = Away(store, "write", 0)

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        try:
            handler(event, UnitOfWork(store, event))
        except Unavailable:
            away.left = 2
            raise

    worker = Worker("extraction", away, bus, {DocumentDeleted: work}, settings)  # type: ignore[arg-type]
    _send(bus, DocumentDeleted(document_id="a"))
    end = time.monotonic() + 10
    while _notes(store) != ["a"]:
        assert time.monotonic() < end, "worked in vain"
        with suppress(Unavailable):
            worker.run_once(0.01)
    assert handler.calls == 7
    assert (bus.dead_letters(), _announced(store)) == ([], [])


def test_waits_use_up_no_tries(store: Store, bus: Bus, make_worker: Any) -> None:
    """After an outage a bug still has all the tries that it would have had."""
    outage, bug = Fails(8, Unavailable("away")), Fails(2, ValueError("a bug"))

    def work(event: DocumentDeleted, uow: UnitOfWork) -> None:
        if outage.left:
            outage(event, uow)
        bug(event, uow)

    _send(bus, DocumentDeleted(document_id="a"))
    _work_for(make_worker({DocumentDeleted: work}), lambda: _notes(store) == ["a"])
    assert (bus.dead_letters(), _announced(store)) == ([], [])


class Away:
    """A store, bus or consumer that is away for a while."""

    def __init__(self, real: Any, name: str, times: int) -> None:
        self._real, self._name, self.left = real, name, times

    def __getattr__(self, name: str) -> Any:
        """The real thing, except for what is away."""
        if name == self._name and self.left:
            self.left -= 1
            raise Unavailable(f"{name} does not answer")
        return getattr(self._real, name)


@pytest.mark.parametrize("what", ["write", "consumer", "lag"])
def test_a_store_or_bus_that_was_away_leaves_no_event_behind(
    store: Store, bus: Bus, settings: Any, what: str
) -> None:
    """The worker waits, takes up what it held, and needs no restart."""
    parts = {"store": store, "bus": bus}
    on = "store" if what == "write" else "bus"
    parts[on] = Away(parts[on], what, 1)
    worker = Worker("extraction", parts["store"], parts["bus"], {DocumentDeleted: _keep}, settings)  # type: ignore[arg-type]
    _send(bus, DocumentDeleted(document_id="a"))
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while _notes(store) != ["a"] and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    thread.join(10)
    assert _notes(store) == ["a"]
    assert not thread.is_alive()


def test_an_acknowledgement_that_fails_is_made_up_for(
    store: Store, bus: Bus, settings: Any, make_worker: Any
) -> None:
    """If the bus is away at the ack, the event comes again and is recognised."""
    _send(bus, DocumentDeleted(document_id="a"))
    worker = make_worker({DocumentDeleted: _keep})
    worker._consumer = Away(bus.consumer("extraction"), "ack", 1)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while bus.lag("extraction") and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    thread.join(10)
    assert bus.lag("extraction") == 0
    assert _notes(store) == ["a"]


def test_several_workers_share_the_work(store: Store, bus: Bus, make_worker: Any) -> None:
    """Two workers of one service do each event once, and both can be stopped."""
    _send(bus, *(DocumentDeleted(document_id=f"{n:02d}") for n in range(20)))
    stop = threading.Event()
    workers = [make_worker({DocumentDeleted: _keep}) for _ in range(2)]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while bus.lag("extraction") and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert sorted(_notes(store)) == [f"{n:02d}" for n in range(20)]


def test_the_inbox_counts_before_the_work(store: Store, bus: Bus, make_worker: Any) -> None:
    """While a handler is at work its try is on record already."""
    seen: list[Any] = []

    def look(event: DocumentDeleted, uow: UnitOfWork) -> None:
        seen.append(begin_try(store, event))
        _keep(event, uow)

    _send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: look}).run_until_idle()
    assert seen[0].crashes == 1
