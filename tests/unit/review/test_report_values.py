"""The values of a client report after decisions about several clauses of one type."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import DocumentTitle
from shared.events.searched import SearchedCategory, SearchedContract, Term
from tests.unit.review.builders import ReviewService, clause
from tests.unit.review.test_report import PATH, words_of

MODEL = {"adapter": "contract-clauses"}
LONG = "DISTRIBUTION AGREEMENT " + "concerning the goods " * 15
TEXT = (
    f"{LONG}. Alder Goods, Inc. (the Seller) and Birch LLC and Cedar AG agree. Utah law governs.\f"
    "Signed: ALDER GOODS, INC. and so on. The laws of Utah apply."
)


def value(kind: str, words: str, *others: str) -> dict[str, Any]:
    one = {"kind": kind, "status": "stated", "currency": None, "role": None}
    other = [{**one, "value": name} for name in others]
    return {"value": {**one, "value": words, "other_values": other}, **MODEL}


FOUND = [
    clause(
        TEXT,
        "DISTRIBUTION AGREEMENT",
        "Document Name",
        0.9,
        1,
        **value("title", "Distribution Agreement"),
    ),
    clause(
        TEXT,
        "Alder Goods, Inc. (the Seller)",
        "Parties",
        0.9,
        2,
        **value("party", "Alder Goods, Inc."),
    ),
    clause(
        TEXT, "Birch LLC and Cedar AG", "Parties", 0.9, 3, **value("party", "Birch LLC", "Cedar AG")
    ),
    clause(TEXT, "ALDER GOODS, INC.", "Parties", 0.5, 4, **value("party", "ALDER GOODS, INC.")),
    clause(TEXT, "Utah law governs.", "Governing Law", 0.5, 5, **value("jurisdiction", "Utah")),
    clause(
        TEXT, "The laws of Utah apply.", "Governing Law", 0.4, 6, **value("jurisdiction", "Utah")
    ),
]
IDS = [one["id"] for one in FOUND]
TITLE = DocumentTitle(
    title="Distribution Agreement · Alder Goods / Birch", parties=("Alder Goods", "Birch")
)


def term(number: int, kind: Any, words: str) -> Term:
    found = FOUND[number]
    return Term(
        category=found["category"], clause_id=found["id"], kind=kind, status="stated",
        value=words, text=words, start=TEXT.lower().index(words.lower()),
    )  # fmt: skip


SEARCHED = SearchedContract(
    categories=tuple(
        SearchedCategory(category=name, probability=0.9, page=1)
        for name in ("Document Name", "Parties", "Governing Law")
    ),
    terms=(
        term(0, "title", "Distribution Agreement"),
        term(1, "party", "Alder Goods, Inc."),
        term(2, "party", "Birch LLC"),
        term(2, "party", "Cedar AG"),
        term(4, "jurisdiction", "Utah"),
    ),
)


@pytest.fixture
def contract(review: ReviewService) -> ReviewService:
    review.read("doc_1", TEXT)
    review.extract("doc_1", FOUND, searched=SEARCHED, title=TITLE)
    return review


def decide(review: ReviewService, number: int, verdict: str, **more: Any) -> None:
    (item,) = (one for one in review.items(state="all") if one["result_id"] == IDS[number])
    review.decide(item["id"], verdict, **more)


def test_a_value_stays_while_another_clause_states_it(contract: ReviewService) -> None:
    for number in (1, 4):
        decide(contract, number, "reject")
    for number in (3, 5):
        decide(contract, number, "accept")
    shown = words_of(contract)
    assert "Alder Goods, Inc. 2 Accepted" in shown
    assert "Governing law Utah 2 Accepted" in shown


def test_a_corrected_value_leaves_the_others_of_its_clause(contract: ReviewService) -> None:
    decide(contract, 2, "correct", correction={"value": "Beech LLC"})
    shown = words_of(contract)
    assert "Beech LLC 1 Corrected" in shown
    assert "Cedar AG 1 Corrected" in shown
    assert "Birch LLC" not in shown.split("Clauses")[0]


def test_a_corrected_party_keeps_its_role(review: ReviewService) -> None:
    party = value("party", "Birch LLC")
    party["value"]["role"] = "Buyer"
    found = clause(TEXT, "Birch LLC", "Parties", 0.9, 1, **party)
    review.read("doc_1", TEXT)
    review.extract("doc_1", [found], searched=SEARCHED, title=TITLE)
    (item,) = (one for one in review.items(state="all") if one["result_id"] == found["id"])
    review.decide(item["id"], "correct", correction={"value": "Beech LLC"})
    assert "Beech LLC (Buyer) 1 Corrected" in words_of(review)


def test_the_title_has_corrected_values(contract: ReviewService) -> None:
    decide(contract, 0, "correct", correction={"value": "Supply Agreement"})
    decide(contract, 2, "correct", correction={"value": "Beech LLC"})
    assert "Supply Agreement Alder Goods / Beech" in words_of(contract)


def test_a_long_name_of_a_document_fits_the_file(contract: ReviewService) -> None:
    decide(contract, 0, "correct", correction={"start": 0, "end": len(LONG) - 1})
    assert contract.client().get(PATH, params={"format": "docx"}).status_code == 200
