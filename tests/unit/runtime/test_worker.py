"""The worker handles success, failure and poison; each on two buses."""

import json
from typing import Any

import pytest

from services.cli.output.document_status import read_metrics
from shared.bus import Bus, Message
from shared.errors import UnreadableDocument
from shared.events import (
    BlobRef,
    DocumentDeleted,
    DocumentFailed,
    DocumentReclassified,
    FirstPagesRead,
)
from shared.messaging import Inbox, UnitOfWork
from shared.metrics import exposition
from shared.settings import CommonSettings
from shared.storage import Store
from tests.support.queue import HandWorker
from tests.unit.runtime.working import (
    Fails,
    announced,
    damaged,
    keep,
    notes,
    send,
    waiting,
    why,
    work_for,
)

REKINDED = DocumentReclassified(
    tenant="default",
    document_id="a",
    kind="report",
    previous="contract",
    trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
)


def test_what_is_in_hand_is_counted_while_it_is(store: Store, bus: Bus, make_worker: Any) -> None:
    seen: list[float] = []

    def look(event: DocumentDeleted, uow: UnitOfWork) -> None:
        seen.append(in_work())
        if event.document_id == "bad":
            raise RuntimeError
        keep(event, uow)

    def in_work() -> float:
        found = read_metrics(exposition().decode())["events_in_work"]
        (count,) = (count for labels, count in found if labels["service"] == worker.name)
        return count

    worker = make_worker({DocumentDeleted: look})
    assert in_work() == 0
    for name in ("a", "bad"):
        send(bus, DocumentDeleted(tenant="default", document_id=name))
    work_for(worker, lambda: len(seen) == 2)
    assert (seen, in_work()) == ([1, 1], 0)


def test_other_types_are_passed_over(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    send(bus, DocumentReclassified(document_id="a", kind="report", previous="contract"))
    newer = DocumentDeleted(document_id="a").to_json("ingest").replace(b"deleted.v1", b"burnt.v7")
    bus.publish(Message("default/a", newer))
    assert make_worker({DocumentDeleted: keep}).run_until_idle() == 0
    assert (waiting(bus, store), inbox.dead_letters(), announced(store)) == (0, [], [])


def test_poison_becomes_a_dead_letter_and_delays_no_other(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    bus.publish(Message("default/a", b"\x00 not an event"))
    send(bus, REKINDED)
    make_worker({DocumentReclassified: keep}).run_until_idle()
    (letter,) = inbox.dead_letters()
    assert letter.value == b"\x00 not an event"
    assert "invalid event" in letter.error
    assert notes(store) == ["a"]


def test_a_bug_that_passes_is_tried_again(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(2, ValueError("a bug"))
    send(bus, DocumentDeleted(document_id="a"))
    work_for(make_worker({DocumentDeleted: handler}), lambda: notes(store) == ["a"])
    assert handler.calls == 3
    assert (inbox.dead_letters(), announced(store)) == ([], [])


def test_while_one_waits_for_its_retry_others_go_on(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    handler = Fails(1, ValueError("a bug"))
    first, later = DocumentDeleted(document_id="a"), DocumentDeleted(document_id="a", actor="later")
    send(bus, first, later, DocumentDeleted(document_id="b"))
    worker = make_worker({DocumentDeleted: handler})
    work_for(worker, lambda: len(notes(store)) == 3)
    assert notes(store)[0] in ("a", "b")
    assert sorted(notes(store)) == ["a", "a", "b"]


def test_a_bug_that_stays_is_given_up(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(99, ValueError("a bug"))
    event = DocumentDeleted(document_id="a", trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    send(bus, event, DocumentDeleted(document_id="b"))
    worker = make_worker({DocumentDeleted: handler})
    work_for(worker, lambda: len(inbox.dead_letters()) == 2)
    assert handler.calls == 6
    letter = next(x for x in inbox.dead_letters() if x.key == event.key)
    reason = f"an internal error in extraction: search the log for event {event.id}"
    assert (letter.service, why(letter), letter.attempts) == ("extraction", reason, 3)
    failed = next(x for x in announced(store) if x.document_id == "a")
    assert failed.reason == reason
    assert (failed.stage, failed.code, failed.cause) == ("extraction", "internal", event.id)
    assert failed.trace == event.trace
    assert waiting(bus, store) == 0


def test_a_lasting_error_is_given_up_at_once(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(99, UnreadableDocument("the text of a is damaged", document="a"))
    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: handler}).run_until_idle()
    (failed,) = announced(store)
    assert handler.calls == 1
    assert (failed.code, failed.reason) == ("unreadable_document", "the text of a is damaged")
    assert [why(letter) for letter in inbox.dead_letters()] == ["the text of a is damaged"]


@pytest.mark.parametrize("error", [ValueError("a bug"), UnreadableDocument("damaged")])
def test_a_failure_over_first_pages_fails_no_document(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox, error: Exception
) -> None:
    text = BlobRef(sha256="0" * 64, size=4)
    begun = FirstPagesRead(document_id="a", kind="contract", text=text, pages=(1,), starts=(0,))
    send(bus, begun, REKINDED)
    worker = make_worker({FirstPagesRead: Fails(99, error), DocumentReclassified: keep})
    work_for(worker, lambda: notes(store) == ["a"])
    assert announced(store) == []
    assert len(inbox.dead_letters()) == 1


def test_data_that_do_not_fit_end_the_document(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(0, ValueError())
    bus.publish(damaged(REKINDED, kind="novel", previous="contract", attempt=3))
    make_worker({DocumentReclassified: handler}).run_until_idle()
    (failed,) = announced(store)
    assert (failed.tenant, failed.document_id, failed.trace) == ("default", "a", REKINDED.trace)
    assert (failed.code, failed.cause) == ("unknown_event", REKINDED.id)
    assert "kind" in failed.reason
    assert "novel" not in failed.reason
    assert len(inbox.dead_letters()) == 1
    assert handler.calls == 0


def test_data_of_a_type_that_is_not_handled_are_not_looked_at(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    bus.publish(damaged(REKINDED, kind="novel"))
    make_worker({DocumentDeleted: keep}).run_until_idle()
    assert (waiting(bus, store), inbox.dead_letters(), announced(store)) == (0, [], [])


def test_an_envelope_without_a_document_is_buried_alone(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    message = json.loads(REKINDED.to_json("ingest")) | {"subject": "a" * 65}
    bus.publish(Message("default/a", json.dumps(message).encode()))
    send(bus, REKINDED)
    make_worker({DocumentReclassified: keep}).run_until_idle()
    assert (notes(store), announced(store), len(inbox.dead_letters())) == (["a"], [], 1)


@pytest.mark.parametrize("error", [ValueError("a bug"), UnreadableDocument("damaged")])
def test_failing_at_a_failure_announces_no_failure(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox, error: Exception
) -> None:
    def fail(event: DocumentFailed, uow: UnitOfWork) -> None:
        raise error

    failure = DocumentFailed(document_id="a", stage="triage", code="odd", reason="why")
    send(bus, failure)
    worker = make_worker({DocumentFailed: fail})
    work_for(worker, lambda: len(inbox.dead_letters()) == 1)
    bus.publish(damaged(failure, code=7))
    work_for(worker, lambda: waiting(bus, store) == 0)
    assert announced(store) == []


def test_a_reason_that_no_database_keeps_is_announced_without_its_odd_characters(
    store: Store, bus: Bus, make_worker: Any, inbox: Inbox
) -> None:
    handler = Fails(99, UnreadableDocument("the name a\0b\ud800c is odd"))
    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: handler}).run_until_idle()
    assert [x.reason for x in announced(store)] == ["the name a?b?c is odd"]
    assert [why(letter) for letter in inbox.dead_letters()] == ["the name a?b?c is odd"]


def test_an_event_that_is_too_large_fails_its_document(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    def shout(event: DocumentDeleted, uow: UnitOfWork) -> None:
        with uow:
            uow.publish(DocumentDeleted(document_id="a", actor="x" * 256_000))

    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: shout}).run_until_idle()
    assert [x.code for x in announced(store)] == ["event_too_large"]


def test_an_event_without_a_handler_any_more_is_passed_over(
    store: Store, bus: Bus, make_worker: Any
) -> None:
    send(bus, DocumentDeleted(document_id="a"))
    make_worker({DocumentDeleted: keep}).pump.run_once()
    assert make_worker({}).run_once()
    assert waiting(bus, store) == 0


def test_a_failure_at_a_decision_fails_no_document(
    store: Store, bus: Bus, settings: CommonSettings, inbox: Inbox
) -> None:
    handler = Fails(99, UnreadableDocument("damaged"))
    worker = HandWorker(
        "extraction", store, bus, {}, settings, decisions={DocumentDeleted: handler}
    )
    send(bus, DocumentDeleted(document_id="a"))
    worker.run_until_idle()
    assert (announced(store), len(inbox.dead_letters())) == ([], 1)
