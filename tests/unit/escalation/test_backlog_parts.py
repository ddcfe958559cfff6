"""Requests of which only a part had room in a batch: the rest goes with another, nothing twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.escalation.backlog.rounds import NO_ANSWER
from services.escalation.backlog.store import backlog
from services.escalation.batches import Batch
from services.escalation.batches import batches as batches_module
from services.escalation.batches.store import batches
from services.escalation.ledger import Caps
from services.escalation.policy import Policies
from shared.events import EscalationRequested, FurtherQuestion
from tests.contract.ledger.calls import call
from tests.unit.escalation.test_backlog import Late, late
from tests.unit.escalation.test_door import TEXT

__all__ = ["late"]


@pytest.fixture
def one_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has room for one question."""
    monkeypatch.setattr(batches_module, "REQUESTS_MOST", 1)


def of_two(late: Late) -> EscalationRequested:
    """A request with two questions, each with a prompt of its own."""
    more = late.request(2, text=f"{TEXT} And more.")
    further = (FurtherQuestion(result_id=more.result_id, question=more.question),)
    return late.request(1).model_copy(update={"further": further})


def sent(late: Late) -> list[int]:
    """How many questions left with each batch."""
    return [row.requests for row in late.rows(batches)]


def answers_after(late: Late, rounds: int) -> dict[str, Any]:
    """What is answered in some rounds."""
    found: dict[str, Any] = {}
    for _ in range(rounds):
        late.round()
        found |= late.answers()
    return found


@pytest.mark.usefixtures("one_a_batch")
def test_what_had_no_room_goes_with_the_next(late: Late) -> None:
    """The request is answered once, with both; each question is paid once."""
    late.say(of_two(late))
    answers = answers_after(late, 2)
    assert answers == {}
    assert sent(late) == [1, 1]
    answers = answers_after(late, 2)
    assert {name for name, one in answers.items() if one.answer} == {"cl_1", "cl_2"}
    assert late.states() == ["settled", "settled"]
    assert sent(late) == [1, 1]
    assert late.rows(backlog) == []


@pytest.mark.usefixtures("one_a_batch")
def test_what_a_batch_did_not_answer_does_not_go_with_the_next(late: Late) -> None:
    """Only what had no room does."""
    late.faults = ["fail"]
    late.say(of_two(late))
    answers = answers_after(late, 5)
    assert answers["cl_2"].answer
    assert (answers["cl_1"].answer, answers["cl_1"].reason) == (None, NO_ANSWER)
    assert sent(late) == [1, 1]


def test_a_question_of_another_request_takes_none_with_it(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ask the same, and the second one something else as well."""
    late.say(late.request(1, document_id="doc_0"))
    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "REQUESTS_MOST", 1)
        late.say(of_two(late))
        late.round()
    answers = answers_after(late, 3)
    assert {name for name, one in answers.items() if one.answer} == {"cl_1", "cl_2"}
    assert sent(late) == [1, 1]
    assert late.states() == ["settled", "settled"]


@pytest.mark.usefixtures("one_a_batch")
def test_there_is_an_end_to_waiting_for_room(late: Late) -> None:
    """A batch that lasted for a day leaves no time for one more: what it says is true of all."""
    late.stand_in.batches.faults = frozenset({"never"})
    late.say(of_two(late))
    late.round()
    late.now += timedelta(hours=26)
    answers = answers_after(late, 2)
    assert {one.reason for one in answers.values()} == {NO_ANSWER}
    assert set(answers) == {"cl_1", "cl_2"}
    assert sent(late) == [1]


@pytest.mark.usefixtures("one_a_batch")
def test_money_that_is_gone_after_the_first_part(late: Late) -> None:
    """What was answered is kept; for the rest a person is asked."""
    late.say(of_two(late))
    late.round()
    default = replace(late.door.policies.of("default"), day_micro_usd=10)
    late.door.policies = Policies({"default": default})
    late.now += timedelta(minutes=10)
    answers = answers_after(late, 2)
    assert answers["cl_1"].answer
    assert answers["cl_2"].answer is None
    assert "budget" in answers["cl_2"].reason
    assert sent(late)[:1] == [1]
    assert late.states() == ["settled"]


def test_one_that_was_asked_too_often_holds_back_no_other(late: Late) -> None:
    """Each has its own reason."""
    request = of_two(late)
    for number in range(4):
        one = call(number, 3, time=late.now, until=late.now, escalation_id=f"es_{request.id}")
        late.door.ledger.reserve(one, Caps(10_000, 10_000))
        late.door.ledger.assume(one.id)
    late.say(request)
    answers = answers_after(late, 4)
    assert answers["cl_2"].answer
    assert "without a usable answer" in answers["cl_1"].reason
    assert late.rows(backlog) == []


@pytest.mark.usefixtures("one_a_batch")
def test_who_asks_the_same_as_a_request_that_waits_on_has_the_answer(late: Late) -> None:
    """What the first part of one brought serves the other, though the first is not ended yet."""
    late.say(of_two(late))
    late.now += timedelta(minutes=1)
    late.say(late.request(1, document_id="doc_0", result_id="cl_9"))
    answers = answers_after(late, 5)
    assert {name for name, one in answers.items() if one.answer} == {"cl_1", "cl_2", "cl_9"}
    assert sent(late) == [1, 1]


def test_a_question_that_another_process_took_back_goes_with_the_next(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reserved for a batch that left without it: its request was in another one."""
    request = of_two(late)
    late.say(request, late.request(3, document_id="doc_0", text=f"{TEXT} Something else."))
    rounds = late.rounds()
    goes, refused = rounds._goes, list[str]()

    def once(event: EscalationRequested, batch: Batch) -> bool:
        if event.id == request.id and len(refused) < 2:
            refused.append(batch.id)
            return False
        return goes(event, batch)

    monkeypatch.setattr(rounds, "_goes", once)
    monkeypatch.setattr(rounds, "_is_elsewhere", lambda *_: True)
    late.round(rounds)
    assert len(refused) == 2
    assert sent(late) == [1]
    answers = answers_after(late, 4)
    assert {name for name, one in answers.items() if one.answer} >= {"cl_1", "cl_2"}
