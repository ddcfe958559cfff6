"""Answers about findings, kinds and pages: shown beside the item and measured separately."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.review.domain import FRONTIER_MODEL
from services.review.provider_accuracy import opinion
from shared.events import Kind
from shared.events.questions import NamedCell, Proposal, Term, page_result
from tests.unit.review.builders import ReviewService, clause, proposal

TEXT = "Dear Jane, the minutes are enclosed.\fDQG 7KLV LV D SDJH"
FINDING: dict[str, Any] = {
    "id": "fd_1",
    "check": "income_sums",
    "confidence": 0.6,
    "statement": "income",
    "row": 3,
    "column": 0,
    "label": "Total",
    "reported": 8_000_000,
    "expected": 9_000_000,
    "message": "2 + 7 = 8",
    "route": "escalate",
}


@pytest.fixture
def policy() -> str:
    return """
        [tenants.default]
        sample_share = 0.0
        trust = "measured"
        max_wrong = 0.5
        [tenants.default.findings]
        max_wrong = 0.5
        """


def cell(row: int = 3, value: int = 8_000_000) -> NamedCell:
    return NamedCell(
        table=1, row=row, column=0, statement="income", label="Total", value=Decimal(value)
    )


def about_finding(verdict: Any = "error", **changed: Any) -> Proposal:
    """An answer that confirms the finding, except for the changes."""
    terms = (
        Term(**cell(1, 2 * 10**6).model_dump(), sign=1),
        Term(**cell(2, 7 * 10**6).model_dump(), sign=1),
    )
    values: dict[str, Any] = {
        "subject": "finding",
        "verdict": verdict,
        "category": "income_sums",
        "cell": cell(),
        "expected": Decimal(9_000_000),
        "arithmetic": terms,
        "total": Decimal(9_000_000),
        "tolerance": Decimal(1_000),
        **changed,
    }
    return proposal(TEXT, None, **values)


def about_kind(verdict: str) -> Proposal:
    return proposal(TEXT, "minutes", subject="kind", verdict=verdict, category="document_kind")


def answer(
    review: ReviewService,
    result: str,
    proposal: Proposal | None,
    document: str = "doc_1",
    stage: Any = "triage",
) -> None:
    subject = proposal.subject if proposal else "finding"
    review.answer(result, proposal, TEXT, document=document, stage=stage, subject=subject)


def rates(review: ReviewService) -> list[tuple[str, str, int, int]]:
    found = review.client().get("/v1/decisions/proposal-rates").json()["items"]
    return [(one["about"], one["answer"], one["checked"], one["wrong"]) for one in found]


def test_an_answer_about_a_finding_is_shown_with_its_sum(review: ReviewService) -> None:
    review.find("doc_1", [FINDING])
    (held,) = review.items()
    assert (held["state"], held["lease"]["holder"]) == ("claimed", FRONTIER_MODEL)
    answer(review, "fd_1", about_finding())
    (item,) = review.items()
    assert (item["state"], item["route"]) == ("waiting", "escalate")
    shown = item["proposal"]
    assert (shown["subject"], shown["verdict"], shown["reason"]) == ("finding", "error", None)
    assert shown["cell"]["row"] == 3
    assert Decimal(shown["cell"]["value"]) == 8_000_000
    assert Decimal(shown["total"]) == Decimal(shown["expected"]) == 9_000_000
    assert [(one["row"], one["sign"]) for one in shown["arithmetic"]] == [(1, 1), (2, 1)]


def test_an_answer_about_a_removed_finding_makes_no_item(review: ReviewService) -> None:
    review.find("doc_1", [])
    answer(review, "fd_1", about_finding())
    assert review.items(state="all") == []


@pytest.mark.parametrize(
    ("proposal", "expected"),
    [
        (about_finding(), "confirmed"),
        (about_finding(expected=Decimal(9_000_900)), "confirmed"),
        (about_finding(expected=Decimal(9_002_000)), None),
        (about_finding(cell=cell(2)), None),
        (about_finding(verdict="presentation", expected=Decimal(8_000_000)), "denied"),
        (about_finding(verdict="presentation", cell=cell(2)), None),
    ],
)
def test_a_finding_is_confirmed_with_the_same_cell_and_amount(
    proposal: Proposal, expected: str | None
) -> None:
    assert opinion(proposal.model_dump(mode="json"), "2 + 7 = 8", FINDING) == expected


def test_models_are_measured_by_subject(review: ReviewService) -> None:
    review.find("doc_1", [FINDING, {**FINDING, "id": "fd_2", "row": 4}])
    answer(review, "fd_1", about_finding())
    answer(review, "fd_2", about_finding("presentation", cell=cell(4)))
    for item in review.items():
        review.decide(item["id"], "reject")
    for document, kind in (("doc_2", "report"), ("doc_3", "other")):
        review.read(document, TEXT, unsure=0.6)
        answer(review, document, about_kind("report"), document, "ingest")
        review.decide(review.items()[0]["id"], "correct", correction={"category": kind})
    assert rates(review) == [
        ("finding", "confirmed", 1, 1),
        ("finding", "denied", 1, 0),
        ("kind", "denied", 2, 1),
    ]


def test_a_confirmed_finding_is_accepted_once_decisions_keep_the_risk(
    review: ReviewService,
) -> None:
    for number in range(40):
        document, finding = f"doc_{number}", {**FINDING, "id": f"fd_{number}"}
        review.find(document, [finding])
        answer(review, f"fd_{number}", about_finding(), document)
        waiting = review.items()
        if not waiting:
            break
        review.decide(waiting[0]["id"])
    assert 10 <= number < 35
    (accepted,) = review.items(state="accepted")
    assert accepted["result_id"] == f"fd_{number}"
    decided = {event.result_id for event in review.announced()}
    assert decided == {f"fd_{before}" for before in range(number)}
    review.find("doc_x", [{**FINDING, "id": "fd_x"}])
    answer(review, "fd_x", about_finding("presentation"), "doc_x")
    review.read("doc_k", TEXT, unsure=0.6)
    answer(review, "doc_k", about_kind("contract"), "doc_k", "ingest")
    assert {item["result_id"] for item in review.items()} == {"fd_x", "doc_k"}


def test_decisions_about_clauses_are_no_evidence_for_findings(review: ReviewService) -> None:
    words = "the minutes are enclosed"
    for number in range(40):
        document = f"doc_{number}"
        review.read(document, TEXT)
        found = clause(TEXT, words, "Parties", 0.6, number + 1)
        review.extract(document, [found])
        confirmed = proposal(TEXT, words, category="Parties")
        answer(review, found["id"], confirmed, document, "extraction")
        waiting = review.items()
        if not waiting:
            break
        review.decide(waiting[0]["id"])
    assert review.items(state="accepted")
    review.find("doc_f", [FINDING])
    answer(review, "fd_1", about_finding(), "doc_f")
    assert [item["result_id"] for item in review.items()] == ["fd_1"]


def test_a_suspicious_page_waits_for_a_person(review: ReviewService) -> None:
    review.read("doc_1", TEXT, unsound=(2,))
    (item,) = review.items()
    assert (item["category"], item["page"], item["about"]) == ("page_text", 2, "finding")
    assert (item["stage"], item["route"], item["state"]) == ("ingest", "review", "waiting")
    review.extract("doc_1", [])
    review.reclassify("doc_1", "report", "contract", 2)
    assert [one["id"] for one in review.items()] == [item["id"]]
    review.read("doc_1", TEXT, unsound=(2,), attempt=2, kind="report")
    assert [one["id"] for one in review.items()] == [item["id"]]
    review.decide(item["id"])
    review.read("doc_1", TEXT, unsound=(2,), attempt=3, kind="report")
    assert review.items() == []
    assert [event.stage for event in review.announced()] == ["ingest"]


def test_a_page_leaves_the_queue_once_read_well_or_cancelled(review: ReviewService) -> None:
    review.read("doc_1", TEXT, unsound=(1, 2))
    assert len(review.items()) == 2
    review.read("doc_1", TEXT, unsound=(2,), attempt=2)
    assert [one["page"] for one in review.items()] == [2]
    review.cancel("doc_1", 2)
    assert review.items() == []


def test_escalated_questions_about_kind_and_pages_wait_for_the_answer(
    review: ReviewService,
) -> None:
    page = page_result("doc_1", 2)
    review.read("doc_1", TEXT, unsound=(2,), unsure=0.6, escalated=("doc_1", page))
    assert {one["lease"]["holder"] for one in review.items()} == {FRONTIER_MODEL}
    unsound = proposal(TEXT, "DQG", subject="page", verdict="unsound", category="page_text")
    answer(review, "doc_1", about_kind("other"), stage="ingest")
    answer(review, page, unsound, stage="ingest")
    both = {one["category"]: one for one in review.items()}
    assert [both[name]["state"] for name in ("document_kind", "page_text")] == ["waiting"] * 2
    assert both["document_kind"]["proposal"]["verdict"] == "other"
    assert both["page_text"]["proposal"]["quotes"][0]["text"] == "DQG"
    review.decide(both["page_text"]["id"])
    review.decide(both["document_kind"]["id"], "correct", correction={"category": "other"})
    assert rates(review) == [("kind", "denied", 1, 0), ("page", "confirmed", 1, 0)]


@pytest.mark.parametrize("kind", ["contract", "report"])
def test_an_answer_after_the_kind_was_set_makes_no_item(review: ReviewService, kind: Kind) -> None:
    review.read("doc_1", TEXT, unsure=0.6, escalated=("doc_1",))
    review.reclassify("doc_1", kind, "contract", None if kind == "contract" else 2)
    review.read("doc_1", TEXT, attempt=1 if kind == "contract" else 2, kind=kind)
    answer(review, "doc_1", about_kind("other"), stage="ingest")
    assert review.items(state="all") == []
