"""What a frontier model proposes stands beside the item; it decides nothing and removes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from services.review.domain import proposal_shown
from shared.events import BlobRef, EscalationAnswered
from shared.events.questions import Candidate, Proposal, Question, Quote
from tests.unit.review.house import House, clause

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years."
LAW = "governed by Delaware law"


def proposed(quote: str | None = LAW, **changed: Any) -> Proposal:
    """An answer that quotes these words, or finds none."""
    start = TEXT.index(quote) if quote else 0
    quotes = (Quote(text=quote, start=start, end=start + len(quote)),) if quote else ()
    values: dict[str, Any] = {
        "verdict": "present" if quote else "absent",
        "category": "Governing Law",
        "quotes": quotes,
        "why": "it says so",
        "provider": "claude",
        "model": "m-1",
        **changed,
    }
    return Proposal(**values)


def answered(
    house: House, proposal: Proposal | None, result_id: str = "cl_1", **changed: Any
) -> EscalationAnswered:
    """What escalation tells of a result of doc_1."""
    text = house.blobs.put("default", TEXT.encode())
    start = TEXT.index("Agreement")
    question = Question(
        kind="contract",
        text=text,
        start=0,
        end=len(TEXT),
        category="Governing Law",
        definition="Which law?",
        candidates=(Candidate(start=start, end=start + 9, confidence=0.3),),
    )
    kept = proposal and house.blobs.put("default", proposal.model_dump_json().encode())
    values: dict[str, Any] = {
        "document_id": "doc_1",
        "stage": "extraction",
        "result_id": result_id,
        "answer": kept,
        "reason": None if proposal else "the budget is spent",
        "question": house.blobs.put("default", question.model_dump_json().encode()),
        **changed,
    }
    return EscalationAnswered(**values)


def items(house: House, state: str = "open") -> list[dict[str, Any]]:
    """The queue."""
    found = house.client().get("/v1/items", params={"state": state}).json()["items"]
    return list(found)


@pytest.fixture
def queued(house: House) -> dict[str, Any]:
    """A clause of doc_1 that waits."""
    house.read("doc_1", TEXT)
    found = clause(TEXT, LAW, "Governing Law", 0.4)
    house.extract("doc_1", [found])
    return found


def test_a_proposal_stands_beside_the_item_and_a_person_decides(
    house: House, queued: dict[str, Any]
) -> None:
    """The item waits as before, whatever the model says of it."""
    (before,) = items(house)
    for proposal in (proposed(), proposed(None)):
        house.hear(answered(house, proposal, queued["id"]))
        (after,) = items(house)
        assert after["proposal"] == proposal_shown(proposal, None)
        assert {**after, "proposal": None} == before
        assert after["state"] == "waiting"
    shown = after["proposal"]
    assert (shown["verdict"], shown["why"], shown["stand_in"]) == ("absent", "it says so", False)


def test_without_an_answer_the_reason_stands_there(house: House, queued: dict[str, Any]) -> None:
    """With network or budget gone, the item waits for a person, and says why."""
    house.hear(answered(house, None, queued["id"]))
    (item,) = items(house)
    assert item["proposal"] == {"verdict": None, "reason": "the budget is spent"}


def test_an_answer_that_can_not_be_read_is_not_called_none(
    house: House, queued: dict[str, Any]
) -> None:
    """Something came, and may have cost something; an unreadable question takes no answer away."""
    torn = house.blobs.put("default", b'{"verdict": "pres')
    house.hear(answered(house, None, queued["id"], answer=torn, reason=None))
    (item,) = items(house)
    assert item["proposal"] == {
        "verdict": None,
        "reason": "an answer came, but it can't be read",
    }
    house.hear(answered(house, proposed(), queued["id"], question=torn))
    (item,) = items(house)
    assert item["proposal"] == proposal_shown(proposed(), None)


@pytest.mark.parametrize(
    ("proposal", "text"), [(proposed(), LAW), (proposed(None), "Agreement"), (None, "Agreement")]
)
def test_a_result_that_waits_for_nobody_is_queued(
    house: House, proposal: Proposal | None, text: str
) -> None:
    """By the words that were proposed, else by those that the specialist had in mind; once."""
    house.read("doc_1", TEXT)
    event = answered(house, proposal, "cl_9")
    house.hear(event, event)
    house.hear(event.model_copy(update={"id": "another"}))
    (item,) = items(house)
    assert (item["text"], item["category"], item["result_id"]) == (text, "Governing Law", "cl_9")
    assert TEXT[item["start"] : item["end"]] == text
    assert (item["kind"], item["confidence"], item["page"]) == ("clause", 0.3, 1)
    assert item["proposal"] == proposal_shown(proposal, "the budget is spent")


def test_who_holds_the_item_keeps_it_and_what_is_decided_stays(
    house: House, queued: dict[str, Any]
) -> None:
    """A proposal that comes in the middle disturbs nobody."""
    client = house.client()
    held = client.post("/v1/items/claim", json={}).json()
    house.hear(answered(house, proposed(), queued["id"]))
    (item,) = items(house)
    assert item["lease"]["number"] == held["lease"]["number"]
    wish = {"item": item["id"], "verdict": "reject"}
    assert client.post("/v1/decisions", json=wish).status_code == 201
    house.hear(answered(house, proposed(None), queued["id"]))
    (decided,) = items(house, "decided")
    assert decided["verdict"] == "reject"
    assert items(house) == []


def test_late_answers_do_nothing(house: House, queued: dict[str, Any]) -> None:
    """Those of an older attempt, of a cancelled one, and of a deleted document."""
    house.read("doc_1", TEXT, attempt=2)
    house.hear(answered(house, proposed(), "cl_8"))
    assert items(house) == []
    house.cancel("doc_1", attempt=2)
    house.hear(answered(house, proposed(), "cl_8", attempt=2))
    assert items(house) == []
    house.delete("doc_1")
    house.hear(answered(house, proposed(), "cl_8", attempt=2))
    house.hear(answered(house, proposed(), "cl_8", document_id="doc_unheard_of"))
    assert items(house, "all") == []


def test_an_answer_that_can_t_be_read_is_none(house: House, queued: dict[str, Any]) -> None:
    """A newer escalation may write what this review does not know; the item waits all the same."""
    strange = house.blobs.put("default", b'{"verdict": "maybe"}')
    house.hear(answered(house, proposed(), queued["id"], answer=strange))
    (item,) = items(house)
    assert item["proposal"]["verdict"] is None
    assert house.service.bus.dead_letters() == []


def test_a_proposal_is_read_as_escalation_writes_it() -> None:
    """Unknown fields of a newer one are passed over."""
    ref = BlobRef(sha256="0" * 64, size=1)
    data = proposed().model_dump() | {"certainty": 0.5}
    assert Proposal.model_validate(data) == proposed()
    asked = {"kind": "contract", "text": ref.model_dump(), "start": 0, "end": 1, "more": 1}
    question = Question.model_validate(asked | {"category": "c", "definition": "d"})
    assert question.subject == "clause"
