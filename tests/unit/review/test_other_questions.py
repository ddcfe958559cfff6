"""Answers about findings, kinds and pages: each stands beside its item, is measured by itself, and
decides nothing; but a confirmed finding needs nobody, once that is shown to keep the stated risk.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.review.domain import ASKED
from services.review.trust import opinion
from shared.documents.reading import Reading
from shared.events import DocumentRead, EscalationAnswered, Kind
from shared.events.questions import NamedCell, Proposal, Question, Quote, Term, page_result
from tests.unit.review.house import House, clause, reading_of

TEXT = "Dear Jane, the minutes are enclosed.\fDQG 7KLV LV D SDJH"
POLICY = """
[tenants.default]
sample_share = 0.0
trust = "measured"
{more}
[tenants.default.findings]
max_wrong = 0.5
"""
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
def house(tmp_path: Path) -> Iterator[House]:
    """Review, whose policy trusts what is measured."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(more="max_wrong = 0.5"), "utf-8")
    made = House(tmp_path, policy=policy)
    yield made
    made.close()


def cell(row: int = 3, value: int = 8_000_000) -> NamedCell:
    """A cell of the report."""
    return NamedCell(
        table=1, row=row, column=0, statement="income", label="Total", value=Decimal(value)
    )


def about_finding(verdict: Any = "error", **changed: Any) -> Proposal:
    """An answer that confirms the finding, but for what is changed."""
    terms = [
        Term(**cell(row, value).model_dump(), sign=1)
        for row, value in ((1, 2 * 10**6), (2, 7 * 10**6))
    ]
    values: dict[str, Any] = {
        "subject": "finding",
        "verdict": verdict,
        "category": "income_sums",
        "cell": cell(),
        "expected": Decimal(9_000_000),
        "arithmetic": tuple(terms),
        "total": Decimal(9_000_000),
        "tolerance": Decimal(1_000),
        "provider": "p",
        "model": "m",
        **changed,
    }
    return Proposal(**values)


def about_text(subject: str, verdict: str, quote: str = "minutes") -> Proposal:
    """Of what kind a document is, or whether a page is sound."""
    at = TEXT.index(quote)
    return Proposal.model_validate(
        {
            "subject": subject,
            "verdict": verdict,
            "category": "document_kind" if subject == "kind" else "page_text",
            "quotes": [Quote(text=quote, start=at, end=at + len(quote))],
            "provider": "p",
            "model": "m",
        }
    )


def answer(
    house: House,
    result: str,
    proposal: Proposal | None,
    document: str = "doc_1",
    stage: Any = "triage",
    subject: Any = "finding",
) -> None:
    """What escalation tells."""
    question = Question(
        subject=proposal.subject if proposal else subject,
        kind="report",
        text=house.blobs.put("default", TEXT.encode()),
        start=0,
        end=len(TEXT),
        category=proposal.category if proposal else "income_sums",
        definition="",
    )
    kept = proposal and house.blobs.put(
        "default", proposal.model_copy(update={"escalation": result}).model_dump_json().encode()
    )
    house.hear(
        EscalationAnswered(
            document_id=document,
            stage=stage,
            result_id=result,
            answer=kept,
            reason=None if proposal else "the budget of today is spent",
            question=house.blobs.put("default", question.model_dump_json().encode()),
        )
    )


def items(house: House, state: str = "open") -> list[dict[str, Any]]:
    """The queue."""
    found = house.client().get("/v1/items", params={"state": state}).json()["items"]
    return list(found)


def decide(house: House, item: dict[str, Any], verdict: str, category: str | None = None) -> None:
    """A person decides."""
    client = house.client()
    claimed = client.post("/v1/items/claim", json={"item": item["id"]})
    assert claimed.status_code == 200, claimed.text
    wish: dict[str, Any] = {"item": item["id"], "verdict": verdict}
    if category:
        wish["correction"] = {"category": category}
    made = client.post("/v1/decisions", json=wish)
    assert made.status_code == 201, made.text


def rates(house: House) -> list[tuple[str, str, int, int]]:
    """What is known of models."""
    found = house.client().get("/v1/decisions/proposal-rates").json()["items"]
    return [(one["about"], one["said"], one["looked_at"], one["wrong"]) for one in found]


def test_an_answer_about_a_finding_stands_beside_it_with_its_sum(house: House) -> None:
    """The finding waits for it, and then for a person: nothing is known of the model yet."""
    house.find("doc_1", [FINDING])
    (held,) = items(house)
    assert (held["state"], held["lease"]["holder"]) == ("claimed", ASKED)
    answer(house, "fd_1", about_finding())
    (item,) = items(house)
    assert (item["state"], item["route"]) == ("waiting", "escalate")
    shown = item["proposal"]
    assert (shown["subject"], shown["verdict"], shown["reason"]) == ("finding", "error", None)
    assert shown["cell"]["row"] == 3
    assert Decimal(shown["cell"]["value"]) == 8_000_000
    assert Decimal(shown["total"]) == Decimal(shown["expected"]) == 9_000_000
    assert [(one["row"], one["sign"]) for one in shown["arithmetic"]] == [(1, 1), (2, 1)]


def test_without_an_answer_a_person_has_the_finding_with_the_reason(house: House) -> None:
    """As it is with clauses."""
    house.find("doc_1", [FINDING])
    answer(house, "fd_1", None)
    (item,) = items(house)
    assert (item["state"], item["proposal"]["verdict"]) == ("waiting", None)
    assert "budget" in item["proposal"]["reason"]


def test_an_answer_about_a_finding_that_is_gone_makes_no_item(house: House) -> None:
    """Nobody is asked about what nobody found."""
    house.find("doc_1", [])
    answer(house, "fd_1", about_finding())
    assert items(house, "all") == []


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        (about_finding(), "confirmed"),
        (about_finding(expected=Decimal(9_000_900)), "confirmed"),
        (about_finding(expected=Decimal(9_002_000)), None),
        (about_finding(cell=cell(2)), None),
        (about_finding(verdict="presentation", expected=Decimal(8_000_000)), "denied"),
        (about_finding(verdict="presentation", cell=cell(2)), None),
    ],
)
def test_a_finding_is_confirmed_with_the_same_cell_and_amount(proposal: Any, said: Any) -> None:
    """Within the rounding of the page; an error elsewhere says nothing of it."""
    assert opinion(proposal.model_dump(mode="json"), "2 + 7 = 8", FINDING) == said


def test_models_are_measured_by_what_they_are_asked(house: House) -> None:
    """Findings, kinds and pages are each another matter, and clauses a fourth."""
    house.find("doc_1", [FINDING, {**FINDING, "id": "fd_2", "row": 4}])
    answer(house, "fd_1", about_finding())
    answer(house, "fd_2", about_finding("presentation", cell=cell(4)))
    for item in items(house):
        decide(house, item, "reject")
    house.read("doc_2", TEXT, unsure=0.6)
    answer(house, "doc_2", about_text("kind", "report"), "doc_2", "ingest")
    decide(house, items(house)[0], "correct", "report")
    house.read("doc_3", TEXT, unsure=0.6)
    answer(house, "doc_3", about_text("kind", "report"), "doc_3", "ingest")
    decide(house, items(house)[0], "correct", "other")
    assert rates(house) == [
        ("finding", "confirmed", 1, 1),
        ("finding", "denied", 1, 0),
        ("kind", "denied", 2, 1),
    ]


def test_a_confirmed_finding_needs_nobody_once_that_is_shown_to_keep_the_risk(
    house: House,
) -> None:
    """From people's decisions about findings alone; what a model denies waits all the same."""
    for number in range(40):
        document, finding = f"doc_{number}", {**FINDING, "id": f"fd_{number}"}
        house.find(document, [finding])
        answer(house, f"fd_{number}", about_finding(), document)
        waiting = items(house)
        if not waiting:
            break
        decide(house, waiting[0], "accept")
    assert 10 <= number < 35
    (accepted,) = items(house, "accepted")
    assert accepted["result_id"] == f"fd_{number}"
    decided = {event.result_id for event in house.announced()}
    assert decided == {f"fd_{before}" for before in range(number)}
    house.find("doc_x", [{**FINDING, "id": "fd_x"}])
    answer(house, "fd_x", about_finding("presentation"), "doc_x")
    house.read("doc_k", TEXT, unsure=0.6)
    answer(house, "doc_k", about_text("kind", "contract"), "doc_k", "ingest")
    assert {item["result_id"] for item in items(house)} == {"fd_x", "doc_k"}


def test_what_is_known_of_a_model_s_clauses_says_nothing_of_its_findings(house: House) -> None:
    """However often it was right."""
    words = "the minutes are enclosed"
    for number in range(40):
        document = f"doc_{number}"
        house.read(document, TEXT)
        found = clause(TEXT, words, "Parties", 0.6, number + 1)
        house.extract(document, [found])
        at = TEXT.index(words)
        proposal = Proposal(
            verdict="present",
            category="Parties",
            quotes=(Quote(text=words, start=at, end=at + len(words)),),
            provider="p",
            model="m",
        )
        answer(house, found["id"], proposal, document, "extraction")
        waiting = items(house)
        if not waiting:
            break
        decide(house, waiting[0], "accept")
    assert items(house, "accepted")
    house.find("doc_f", [FINDING])
    answer(house, "fd_1", about_finding(), "doc_f")
    assert [item["result_id"] for item in items(house)] == ["fd_1"]


def read(house: House, document: str, *, unsound: tuple[int, ...] = (), **more: Any) -> None:
    """A document with pages that seem to be read badly."""
    plain = reading_of(TEXT)
    reading = Reading(
        plain.text, plain.pages, plain.boxes, plain.page_count,
        media_type="application/pdf", unsound=unsound,
    )  # fmt: skip
    values: dict[str, Any] = {
        "document_id": document,
        "name": "a.pdf",
        "media_type": "application/pdf",
        "kind": "contract",
        "original": house.blobs.put("default", b"%PDF-1.7"),
        "text": house.blobs.put("default", TEXT.encode()),
        "layout": house.blobs.put("default", reading.to_bytes()),
        "pages": 2,
        **more,
    }
    house.hear(DocumentRead(**values))


def test_a_page_that_seems_to_be_read_badly_waits_for_a_person(house: House) -> None:
    """With the page that it is about; it stays whatever specialists find."""
    read(house, "doc_1", unsound=(2,))
    (item,) = items(house)
    assert (item["category"], item["page"], item["about"]) == ("page_text", 2, "finding")
    assert (item["stage"], item["route"], item["state"]) == ("ingest", "review", "waiting")
    house.extract("doc_1", [])
    house.rekind("doc_1", "report", "contract", 2)
    assert [one["id"] for one in items(house)] == [item["id"]]
    read(house, "doc_1", unsound=(2,), attempt=2, kind="report")
    assert [one["id"] for one in items(house)] == [item["id"]]
    decide(house, item, "accept")
    read(house, "doc_1", unsound=(2,), attempt=3, kind="report")
    assert items(house) == []
    assert [event.stage for event in house.announced()] == ["ingest"]


def test_a_page_that_is_read_well_the_next_time_waits_no_more(house: House) -> None:
    """Nor does one of a document whose work was stopped."""
    read(house, "doc_1", unsound=(1, 2))
    assert len(items(house)) == 2
    read(house, "doc_1", unsound=(2,), attempt=2)
    assert [one["page"] for one in items(house)] == [2]
    house.cancel("doc_1", 2)
    assert items(house) == []


def test_a_question_of_the_kind_waits_for_the_answer_of_a_model(house: House) -> None:
    """A person has it with the answer, which decides nothing; so it is with a page."""
    page = page_result("doc_1", 2)
    asked = {"kind_confidence": 0.6, "kind_unsure": True, "escalated": ("doc_1", page)}
    read(house, "doc_1", unsound=(2,), **asked)
    assert {one["lease"]["holder"] for one in items(house)} == {ASKED}
    answer(house, "doc_1", about_text("kind", "other"), stage="ingest")
    answer(house, page, about_text("page", "unsound", "DQG"), stage="ingest")
    both = {one["category"]: one for one in items(house)}
    assert [both[name]["state"] for name in ("document_kind", "page_text")] == ["waiting"] * 2
    assert both["document_kind"]["proposal"]["verdict"] == "other"
    assert both["page_text"]["proposal"]["quotes"][0]["text"] == "DQG"
    decide(house, both["page_text"], "accept")
    decide(house, both["document_kind"], "correct", "other")
    assert rates(house) == [("kind", "denied", 1, 0), ("page", "confirmed", 1, 0)]


@pytest.mark.parametrize("kind", ["contract", "report"])
def test_once_the_kind_is_said_an_answer_comes_too_late(house: House, kind: Kind) -> None:
    """The question is gone, and no new one is made of the answer."""
    read(house, "doc_1", kind_confidence=0.6, kind_unsure=True, escalated=("doc_1",))
    house.rekind("doc_1", kind, "contract", None if kind == "contract" else 2)
    read(house, "doc_1", attempt=1 if kind == "contract" else 2, kind=kind)
    answer(house, "doc_1", about_text("kind", "other"), stage="ingest")
    assert items(house, "all") == []
