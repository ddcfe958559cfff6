"""What people decide meanwhile is heard, and not paid for any more."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.escalation.asking import DECIDED, Asker
from services.escalation.decided import Decided, Hearing, decided
from services.escalation.decided import hearing as module
from services.escalation.ledger.store import ledger
from services.escalation.store import escalations
from shared.bus import Message
from shared.errors import Unavailable
from shared.events import DocumentDeleted, Event, FurtherQuestion, ReviewDecided
from shared.storage import Relay, UnitOfWork
from tests.unit.escalation.test_batching import LABELS, TEXT, three, words
from tests.unit.escalation.test_door import Doorway, Make, make
from tests.unit.escalation.test_service import House, house

__all__ = ["house", "make"]


def decision(number: int = 1, document: int = 1, **changed: Any) -> ReviewDecided:
    """A person decided about a clause."""
    values: dict[str, Any] = {
        "document_id": f"doc_{document}",
        "item_id": f"it_{number}",
        "stage": "extraction",
        "result_id": f"cl_{number}",
        "decision_id": f"de_{number}",
        "verdict": "accept",
        **changed,
    }
    return ReviewDecided(**values)


def hear(house: House, *events: Event) -> None:
    """Events on the bus, heard until nothing waits."""
    with UnitOfWork(house.service.store) as uow:
        for event in events:
            uow.publish(event)
    while house.relay.run_once():
        pass
    hearing = Hearing(house.service.store, house.service.bus)
    hearing.run_until_idle()
    hearing._leave()


def several(house: House, **changed: Any) -> Any:
    """One event that asks about three clauses of a document."""
    asked = [house.request(number, category=name) for number, (name, _) in enumerate(LABELS, 1)]
    further = tuple(
        FurtherQuestion(result_id=f"cl_{n}", question=asked[n - 1].question) for n in (2, 3)
    )
    return asked[0].model_copy(update={"further": further, **changed})


def test_what_a_person_decided_is_not_asked(house: House) -> None:
    """Though the decision stands behind the request on the bus; nothing is billed for it."""
    request = house.request()
    hear(house, decision())
    (answered,) = house.say(request)
    assert (answered.answer, answered.reason) == (None, DECIDED)
    assert house.stand_in.said == []
    assert house.rows(ledger) == []
    (row,) = house.rows(escalations)
    assert (row.state, row.reason) == ("unanswered", DECIDED)


@pytest.mark.parametrize(
    "other",
    [
        decision(2),
        decision(document=2),
        decision(stage="triage"),
        decision(tenant="acme"),
        decision(time=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=["result", "document", "stage", "tenant", "an earlier reading"],
)
def test_another_decision_changes_nothing(house: House, other: ReviewDecided) -> None:
    """It is asked about all the same."""
    request = house.request()
    hear(house, other)
    (answered,) = house.say(request)
    assert answered.answer


def test_a_decision_that_was_undone_is_none(house: House) -> None:
    """The item waits again, so it is asked about."""
    request = house.request()
    hear(house, decision(), decision(verdict="undo"))
    assert house.rows(decided) == []
    (answered,) = house.say(request)
    assert answered.answer


def test_of_several_questions_only_what_is_left_is_asked(house: House) -> None:
    """One prompt without it; the others have their answers."""
    request = several(house)
    hear(house, decision(2))
    answers = {one.result_id: one for one in house.say(request)}
    assert answers["cl_2"].reason == DECIDED
    assert answers["cl_1"].reason != DECIDED
    assert answers["cl_3"].reason != DECIDED
    (said,) = house.stand_in.said
    assert LABELS[1][0] not in said.turns[0]
    assert all(LABELS[n][0] in said.turns[0] for n in (0, 2))


def test_an_answer_that_is_paid_is_used_whoever_decided_since(make: Make) -> None:
    """After a crash between the answer and its keeping, say: it costs nothing more."""
    doorway = make(labels=LABELS)
    first = ask(doorway, [False] * 3)
    again = ask(doorway, [True, False, True])
    assert [words(one) for one in again] == [words(one) for one in first]
    assert len(doorway.sent()) == 1


@pytest.mark.parametrize("why", ["late", "decided"])
def test_a_repair_that_is_paid_is_used_however_late(make: Make, why: str) -> None:
    """The process died between the repair and its keeping, and the request comes again when people
    have it, or have decided: nothing more is asked, and nothing paid is thrown away.
    """
    doorway = make(labels=LABELS)
    doorway.wanted = ["break_json"]
    first = ask(doorway, [False] * 3)
    assert len(doorway.sent()) == 2
    since = doorway.clock()
    if why == "late":
        doorway.clock.move(minutes=16)
    again = ask(doorway, [why == "decided"] * 3, since)
    assert [words(one) for one in again] == [words(one) for one in first]
    assert len(doorway.sent()) == 2


def test_what_is_decided_during_a_call_is_not_repaired(make: Make) -> None:
    """An unusable answer is paid; a second one is not asked for."""
    doorway = make(labels=LABELS)
    doorway.wanted = ["break_json"]
    known = [False] * 3
    speak = doorway.stand_in.speak

    def decide_and_speak(said: Any, fault: Any) -> str:
        known[:] = [True] * 3
        return speak(said, fault)

    doorway.stand_in.speak = decide_and_speak
    outcomes = ask(doorway, known)
    assert all("a person has decided since" in one.reason for one in outcomes)
    assert len(doorway.sent()) == 1


def ask(doorway: Doorway, known: Sequence[bool], since: datetime | None = None) -> Any:
    """Three questions for one request, of which some are decided."""
    since = since or doorway.clock()
    pairs = [
        (Asker("default", "doc_1", f"es_1_{n}", since, decided=lambda n=n: known[n]), one)  # type: ignore[misc]
        for n, one in enumerate(three())
    ]
    return doorway.door.ask_all(pairs, TEXT)


def test_a_deleted_document_leaves_nothing(house: House) -> None:
    """Not even that somebody decided."""
    hear(house, decision(), decision(2, document=2), DocumentDeleted(document_id="doc_1"))
    assert [row.document_id for row in house.rows(decided)] == ["doc_2"]


def test_twice_is_as_good_as_once(house: House) -> None:
    """The bus delivers at least once; the latest counts."""
    later = datetime.now(UTC) + timedelta(hours=1)
    hear(house, decision(), decision(), decision(verdict="reject", time=later))
    (row,) = house.rows(decided)
    assert row.time == later


def test_what_is_no_event_is_passed_over(house: House) -> None:
    """And so is a decision that no database takes: it must not hold up the others."""
    house.service.bus.publish(Message("default/doc_1", b"{}"))
    hear(house, decision(result_id="with\0in"), decision())
    assert [row.result_id for row in house.rows(decided) if row.result_id == "cl_1"] == ["cl_1"]


def test_a_database_that_is_away_is_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision comes again, in a thread that ends when it is told to."""
    monkeypatch.setattr(module, "AGAIN", 0.01)
    note, tries = Decided.note, []

    def away(self: Decided, event: ReviewDecided) -> None:
        tries.append(event)
        if len(tries) < 3:
            raise Unavailable("the database is away")
        note(self, event)

    monkeypatch.setattr(Decided, "note", away)
    with UnitOfWork(house.service.store) as uow:
        uow.publish(decision())
    Relay(house.service.store, house.service.bus).run_once()
    stop = threading.Event()
    hearing = Hearing(house.service.store, house.service.bus)
    thread = threading.Thread(target=hearing.run, args=(stop,))
    thread.start()
    try:
        while thread.is_alive() and not house.rows(decided):
            stop.wait(0.01)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(tries) == 3


def test_a_row_of_another_time_is_not_the_request_s(house: House) -> None:
    """A decision counts from the moment of the request on, to the moment."""
    request = house.request()
    hear(house, decision(time=request.time))
    with house.service.store.read() as session:
        known = Decided(session, "default")
        assert known.since("doc_1", "extraction", "cl_1", request.time)
        assert not known.since(
            "doc_1", "extraction", "cl_1", request.time + timedelta(microseconds=1)
        )
    with house.service.store.write() as session:
        session.execute(update(decided).values(tenant="acme"))
    with house.service.store.read() as session:
        assert not Decided(session, "default").since("doc_1", "extraction", "cl_1", request.time)
