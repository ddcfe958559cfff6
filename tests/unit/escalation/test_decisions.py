"""Decisions of people while a question waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.escalation.gateway import DECIDED
from services.escalation.ledger.store import ledger
from services.escalation.store import escalations
from shared.events import Event, ReviewDecided
from shared.messaging import UnitOfWork
from tests.support.queue import HandWorker
from tests.unit.escalation.builders import EscalationService, Make
from tests.unit.escalation.test_batching import CATEGORIES, LABELS, TEXT, three, words


def decision(number: int = 1, document: int = 1, **changed: Any) -> ReviewDecided:
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


def hear(escalation: EscalationService, *events: Event) -> None:
    with UnitOfWork(escalation.service.store) as uow:
        for event in events:
            uow.publish(event)
    while escalation.relay.run_once():
        pass
    worker = HandWorker.of(escalation.service)
    del worker.workers[:2]  # all but the queue of decisions
    worker.run_until_idle()


def test_a_decided_result_is_not_asked_about(escalation: EscalationService) -> None:
    request = escalation.request()
    hear(escalation, decision())
    (answered,) = escalation.say(request)
    assert (answered.answer, answered.reason) == (None, DECIDED)
    assert escalation.stand_in.requests == []
    assert escalation.rows(ledger) == []
    (row,) = escalation.rows(escalations)
    assert (row.state, row.reason) == ("unanswered", DECIDED)


@pytest.mark.parametrize(
    "other",
    [
        decision(2),
        decision(document=2),
        decision(stage="triage"),
        decision(time=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=["result", "document", "stage", "an earlier reading"],
)
def test_other_decisions_do_not_matter(escalation: EscalationService, other: ReviewDecided) -> None:
    request = escalation.request()
    hear(escalation, other)
    (answered,) = escalation.say(request)
    assert answered.answer


def test_only_undecided_questions_are_asked(escalation: EscalationService) -> None:
    request = escalation.request_all(CATEGORIES)
    hear(escalation, decision(2))
    answers = {one.result_id: one for one in escalation.say(request)}
    assert answers["cl_2"].reason == DECIDED
    assert answers["cl_1"].reason != DECIDED
    assert answers["cl_3"].reason != DECIDED
    (sent,) = escalation.stand_in.requests
    assert [name in sent.turns[0] for name in CATEGORIES] == [True, False, True]


def test_a_paid_answer_is_used_after_a_decision(make: Make) -> None:
    rig = make(labels=LABELS)
    first = rig.ask_all(three(), TEXT, "es_1")
    again = rig.ask_all(three(), TEXT, "es_1", decided=[True, False, True])
    assert [words(one) for one in again] == [words(one) for one in first]
    assert len(rig.sent()) == 1


@pytest.mark.parametrize("why", ["late", "decided"])
def test_a_paid_repair_is_used_late_or_after_a_decision(make: Make, why: str) -> None:
    rig = make(labels=LABELS)
    rig.wanted = ["break_json"]
    first = rig.ask_all(three(), TEXT, "es_1")
    assert len(rig.sent()) == 2
    since = rig.clock()
    if why == "late":
        rig.clock.move(minutes=16)
    decided = [why == "decided"] * 3
    again = rig.ask_all(three(), TEXT, "es_1", decided=decided, since=since)
    assert [words(one) for one in again] == [words(one) for one in first]
    assert len(rig.sent()) == 2


def test_a_result_decided_during_a_call_is_not_repaired(make: Make) -> None:
    rig = make(labels=LABELS)
    rig.wanted = ["break_json"]
    known = [False] * 3
    speak = rig.stand_in.speak

    def decide_and_speak(request: Any, fault: Any) -> str:
        known[:] = [True] * 3
        return speak(request, fault)

    rig.stand_in.speak = decide_and_speak
    outcomes = rig.ask_all(three(), TEXT, decided=known)
    assert all("a person has decided since" in one.reason for one in outcomes)
    assert len(rig.sent()) == 1
