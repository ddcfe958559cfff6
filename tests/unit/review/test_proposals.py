"""Answers of frontier models about clauses: shown beside the item, and trusted once measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.review.domain import FRONTIER_MODEL
from services.review.provider_accuracy import ProposalDecision, ProposalRate, proposal_rates
from services.review.results import proposal_fields
from services.review.settings import Settings
from services.review.store import Filters
from shared.events import BlobRef
from shared.events.questions import Proposal, Question
from shared.settings import load
from shared.web.auth import Actor
from tests.support.queue import dead_letters
from tests.unit.review.builders import ReviewService, clause, proposal

TEXT = "The laws of Utah govern this Agreement. Each party insures itself. Nothing else is said."
LAW, COVER = "The laws of Utah govern this Agreement.", "Each party insures itself."
AGREEMENT = (TEXT.index("Agreement"), TEXT.index("Agreement") + 9)
PRESENT, ABSENT = proposal(TEXT, LAW), proposal(TEXT, None)
ADA = Actor(tenant="default", name="ada", key_id="k1")
POLICY = '[tenants.default]\nmax_wrong = 0.5\nsample_share = 0.0\ntrust = "measured"\n'


@pytest.fixture
def policy() -> str:
    return POLICY


def escalate(
    review: ReviewService, document: str = "doc_1", number: int = 1, category: str = "Governing Law"
) -> str:
    """Read a document with an escalated clause. Returns the clause's id."""
    review.read(document, TEXT)
    found = clause(TEXT, LAW, category, 0.6, number, route="escalate")
    review.extract(document, [found])
    return str(found["id"])


def confirm(
    review: ReviewService, number: int, category: str = "Governing Law", quote: str | None = LAW
) -> dict[str, Any]:
    """Escalate a clause and answer it. Returns its item."""
    document = f"doc_{number}"
    result = escalate(review, document, number, category)
    review.answer(result, proposal(TEXT, quote), TEXT, document=document)
    (item,) = review.items(document=document, state="all")
    return item


@pytest.fixture
def queued(review: ReviewService) -> str:
    """A waiting clause."""
    review.read("doc_1", TEXT)
    found = clause(TEXT, LAW, "Governing Law", 0.4)
    review.extract("doc_1", [found])
    return str(found["id"])


def test_an_escalated_clause_waits_for_the_answer_and_then_for_a_person(
    review: ReviewService,
) -> None:
    result = escalate(review)
    (held,) = review.items()
    assert (held["state"], held["lease"]["holder"], held["route"]) == (
        "claimed",
        FRONTIER_MODEL,
        "escalate",
    )
    assert review.commands().claim_next(ADA, Filters()) is None
    review.answer(result, PRESENT, TEXT)
    (free,) = review.items()
    assert (free["state"], free["proposal"]["verdict"]) == ("waiting", "present")
    claimed = review.commands().claim_next(ADA, Filters())
    assert claimed is not None
    assert claimed.result_id == result


def test_without_an_answer_it_waits_for_a_person_with_the_reason(review: ReviewService) -> None:
    review.answer(escalate(review), None, TEXT)
    (item,) = review.items()
    assert item["state"] == "waiting"
    assert item["proposal"] == {"verdict": None, "reason": "the budget is spent"}


def test_it_waits_for_an_answer_only_for_a_limited_time(review: ReviewService) -> None:
    escalate(review)
    late = datetime.now(UTC) + timedelta(seconds=load(Settings).review_patience + 1)
    assert review.commands(clock=lambda: late).claim_next(ADA, Filters()) is not None


def test_a_reviewer_who_claims_it_before_the_answer_keeps_it(review: ReviewService) -> None:
    result = escalate(review)
    held = review.claim(item=review.items()[0]["id"])
    review.answer(result, PRESENT, TEXT)
    (item,) = review.items()
    assert (item["lease"]["number"], item["lease"]["holder"]) == (held["lease"]["number"], "ada")
    assert item["proposal"]["verdict"] == "present"
    review.decide(item["id"], "reject")
    review.answer(result, ABSENT, TEXT)
    assert [one["verdict"] for one in review.items(state="all")] == ["reject"]


def test_an_answer_before_its_clause_is_not_lost(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    found = clause(TEXT, LAW, "Governing Law", 0.6, route="escalate")
    review.answer(found["id"], PRESENT, TEXT)
    review.extract("doc_1", [found])
    (item,) = review.items()
    assert (item["state"], item["proposal"]["verdict"]) == ("waiting", "present")


def test_an_answer_changes_nothing_else_of_its_item(review: ReviewService, queued: str) -> None:
    (before,) = review.items()
    for answer in (PRESENT, ABSENT):
        event = review.answer(queued, answer, TEXT)
        assert event.answer is not None
        stored = Proposal.model_validate_json(review.blobs.get("default", event.answer))
        (after,) = review.items()
        assert after["proposal"] == proposal_fields(stored, None)
        assert {**after, "proposal": None} == before
    shown = after["proposal"]
    assert (shown["verdict"], shown["why"], shown["stand_in"]) == ("absent", "it says so", False)


@pytest.mark.parametrize("blob", [b'{"verdict": "pres', b'{"verdict": "maybe"}'])
def test_an_unreadable_answer_is_shown_as_such(
    review: ReviewService, queued: str, blob: bytes
) -> None:
    torn = review.blobs.put("default", blob)
    review.answer(queued, None, TEXT, answer=torn, reason="")
    (item,) = review.items()
    assert item["proposal"] == {"verdict": None, "reason": "the answer can't be read"}
    review.answer(queued, PRESENT, TEXT, question=torn)
    (item,) = review.items()
    assert item["proposal"]["verdict"] == "present"
    assert dead_letters(review.service) == []


@pytest.mark.parametrize(
    ("answer", "text"), [(PRESENT, LAW), (ABSENT, "Agreement"), (None, "Agreement")]
)
def test_an_escalated_result_without_an_item_gets_one(
    review: ReviewService, answer: Proposal | None, text: str
) -> None:
    review.read("doc_1", TEXT)
    event = review.answer("cl_9", answer, TEXT, candidate=AGREEMENT)
    review.publish(event, event.model_copy(update={"id": "another"}))
    (item,) = review.items()
    assert (item["text"], item["category"], item["result_id"]) == (text, "Governing Law", "cl_9")
    assert TEXT[item["start"] : item["end"]] == text
    assert (item["kind"], item["confidence"], item["page"]) == ("clause", 0.3, 1)
    assert item["proposal"]["verdict"] == (answer.verdict if answer else None)


def test_a_category_without_a_clause_gets_an_item_only_with_a_proposal(
    review: ReviewService,
) -> None:
    review.read("doc_1", TEXT)
    review.answer("cl_a", proposal(TEXT, None, subject="category"), TEXT)
    review.answer("cl_b", None, TEXT, subject="category")
    assert review.items() == []
    review.answer("cl_c", proposal(TEXT, LAW, subject="category"), TEXT)
    (item,) = review.items()
    assert (item["result_id"], item["text"], item["state"]) == ("cl_c", LAW, "waiting")


def test_late_answers_do_nothing(review: ReviewService, queued: str) -> None:
    review.read("doc_1", TEXT, attempt=2)
    review.answer("cl_8", PRESENT, TEXT)
    review.cancel("doc_1", attempt=2)
    review.answer("cl_8", PRESENT, TEXT, attempt=2)
    review.delete("doc_1")
    review.answer("cl_8", PRESENT, TEXT, attempt=2)
    review.answer("cl_8", PRESENT, TEXT, document="doc_unknown")
    assert review.items(state="all") == []


def test_trust_is_measured_from_decisions(review: ReviewService) -> None:
    routes = []
    for number in range(1, 31):
        item = confirm(review, number)
        routes.append(item["route"])
        if item["route"] != "accept":
            review.decide(item["id"])
    first = routes.index("accept")
    assert 10 <= first < 30
    assert set(routes[:first]) == {"escalate"}
    assert set(routes[first:]) == {"accept"}
    (rate,) = review.client().get("/v1/decisions/proposal-rates").json()["items"]
    interval = rate.pop("interval")
    assert rate == {
        "provider": "p",
        "model": "m",
        "about": "clause",
        "answer": "confirmed",
        "checked": first,
        "wrong": 0,
        "rate": 0.0,
    }
    assert interval[1] < 0.3
    for number in range(50, 56):
        document = f"doc_{number}"
        result = escalate(review, document, number)
        (item,) = review.items(document=document)
        review.claim(item=item["id"])
        review.answer(result, PRESENT, TEXT, document=document)
        review.decide(item["id"], "reject")
    assert confirm(review, 99)["route"] == "escalate"


def test_an_item_made_of_the_models_own_quote_is_no_evidence(review: ReviewService) -> None:
    for number in range(1, 31):
        document = f"doc_{number}"
        review.read(document, TEXT)
        quoted = proposal(TEXT, LAW, subject="category")
        review.answer(f"cl_{number}", quoted, TEXT, document=document)
        review.decide(review.items(document=document)[0]["id"])
    assert review.client().get("/v1/decisions/proposal-rates").json()["items"] == []
    assert confirm(review, 99)["route"] == "escalate"


@pytest.mark.parametrize("quote", [COVER, None])
def test_only_the_same_words_confirm(review: ReviewService, quote: str | None) -> None:
    for number in range(1, 26):
        item = confirm(review, number)
        if item["route"] != "accept":
            review.decide(item["id"])
    item = confirm(review, 99, quote=quote)
    assert (item["route"], item["state"]) == ("escalate", "waiting")


@pytest.mark.parametrize(
    ("policy", "route"),
    [(POLICY, "accept"), (f'{POLICY}always_person = ["Parties"]\n', "escalate")],
)
def test_categories_for_people_are_no_evidence_for_others(
    review: ReviewService, policy: str, route: str
) -> None:
    for number in range(1, 31):
        item = confirm(review, number, "Parties")
        if item["route"] != "accept":
            review.decide(item["id"])
    assert confirm(review, 99)["route"] == route


def test_rates_are_by_model_and_answer() -> None:
    found = [
        ProposalDecision("d1", "clause", "p", "m", "denied", True),
        ProposalDecision("d1", "clause", "p", "m", "denied", False),
        ProposalDecision("d2", "clause", "q", "m", "confirmed", False),
    ]
    assert proposal_rates(found) == [
        ProposalRate("p", "m", "clause", "denied", 2, 1),
        ProposalRate("q", "m", "clause", "confirmed", 1, 0),
    ]


def test_unknown_fields_of_answers_and_questions_are_ignored() -> None:
    assert Proposal.model_validate(PRESENT.model_dump() | {"certainty": 0.5}) == PRESENT
    ref = BlobRef(sha256="0" * 64, size=1)
    asked = {"kind": "contract", "text": ref.model_dump(), "start": 0, "end": 1, "more": 1}
    question = Question.model_validate(asked | {"category": "c", "definition": "d"})
    assert question.subject == "clause"
