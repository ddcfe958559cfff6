"""A share of what could be accepted is checked by people: so often is the machine wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.review.sampling import (
    ErrorRate,
    Judgement,
    error_rates,
    was_wrong,
)
from shared.metrics import at_scrape, exposition
from tests.unit.review.house import House, clause
from tests.unit.review.test_domain import an_item

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years.\n3. Cap. US$ 5."
LAW, TERM, CAP = "governed by Delaware law", "Two years", "US$ 5"
DRAWN = replace(an_item(), sampled=True, text="governed by Delaware law", category="Governing Law")


@pytest.mark.parametrize(
    ("verdict", "right", "wrong"),
    [
        ("accept", None, False),
        ("reject", None, True),
        ("correct", {"category": "Governing Law", "text": "is governed by Delaware law."}, False),
        ("correct", {"category": "Governing Law", "text": "Delaware"}, True),
        ("correct", {"category": "Parties", "text": "governed by Delaware law"}, True),
        ("undo", None, None),
    ],
)
def test_wrong_is_what_the_legal_metric_calls_so(
    verdict: Any, right: dict[str, str] | None, wrong: bool | None
) -> None:
    """Ends that were moved a little are no mistake; another category or other words are."""
    assert was_wrong(DRAWN, verdict, right) is wrong
    assert was_wrong(replace(DRAWN, kind="finding", sampled=False), verdict, right) is None


@pytest.mark.parametrize(("verdict", "wrong"), [("accept", False), ("reject", True)])
def test_a_finding_that_was_drawn_is_wrong_where_it_is_rejected(verdict: Any, wrong: bool) -> None:
    """The other findings are no measure of what could be accepted."""
    assert was_wrong(replace(DRAWN, kind="finding"), verdict, None) is wrong
    assert was_wrong(replace(DRAWN, kind="finding"), "undo", None) is None


def test_the_last_word_on_each_clause_counts() -> None:
    """One right, one wrong, one undone, one undone and decided again."""
    said = [
        Judgement("1", "a", "Law", False, "contract", "application/pdf"),
        Judgement("2", "a", "Law", True),
        Judgement("3", "a", "Cap", True),
        Judgement("3", "a", "Cap", None),
        Judgement("4", "b", "Law", True),
        Judgement("4", "b", "Law", None),
        Judgement("4", "b", "Law", False),
    ]
    assert error_rates(said) == [
        ErrorRate("a", None, 2, 1),
        ErrorRate("a", "Law", 2, 1),
        ErrorRate("a", None, 1, 0, kind="contract"),
        ErrorRate("a", None, 1, 0, source="application/pdf"),
        ErrorRate("b", None, 1, 0),
        ErrorRate("b", "Law", 1, 0),
    ]
    low, high = ErrorRate("a", None, 2, 1).interval
    assert (low, high) == pytest.approx((0.0126, 0.9874), abs=1e-4)


@pytest.fixture
def drawn(house: House) -> House:
    """A contract with two clauses that were drawn, and one that waits by itself."""
    house.read("doc_1", TEXT)
    found = [
        {**clause(TEXT, LAW, "Governing Law", 0.97, 1), "adapter": "contract-clauses"},
        {**clause(TEXT, TERM, "Renewal Term", 0.96, 2), "adapter": "contract-clauses"},
        {**clause(TEXT, CAP, "Cap On Liability", 0.4, 3), "adapter": "contract-clauses"},
    ]
    house.extract("doc_1", found, sampled=[found[0]["id"], found[1]["id"]])
    return house


def decide(house: House, text: str, verdict: str) -> None:
    """A person decides about the item of these words."""
    client = house.client()
    items = client.get("/v1/items", params={"state": "all"}).json()["items"]
    (item,) = [item for item in items if item["text"] == text]
    client.post("/v1/items/claim", json={"item": item["id"]})
    made = client.post("/v1/decisions", json={"item": item["id"], "verdict": verdict})
    assert made.status_code == 201
    assert "sampled" not in made.text
    assert '"wrong"' not in made.text


def rates(house: House, key: str = "key-ada") -> list[dict[str, Any]]:
    """What REST says."""
    return list(house.client(key).get("/v1/decisions/error-rates").json()["items"])


def test_decisions_about_drawn_clauses_make_the_live_error_rate(drawn: House) -> None:
    """By specialist, category, kind and source, with an interval; others say nothing of it."""
    decide(drawn, CAP, "reject")
    assert rates(drawn) == []
    decide(drawn, LAW, "accept")
    decide(drawn, TERM, "reject")
    named = ("adapter", "category", "kind", "source")
    found = {tuple(line[name] for name in named): line for line in rates(drawn)}
    everything = found["contract-clauses", None, None, None]
    assert (everything["looked_at"], everything["wrong"], everything["rate"]) == (2, 1, 0.5)
    assert found["contract-clauses", "Renewal Term", None, None]["wrong"] == 1
    assert found["contract-clauses", None, "contract", None]["looked_at"] == 2
    assert found["contract-clauses", None, None, "application/pdf"]["wrong"] == 1
    low, high = everything["interval"]
    assert low < 0.5 < high
    later = drawn.client().get("/v1/decisions/error-rates?since=2999-01-01T00:00:00Z").json()
    assert later["items"] == []
    assert rates(drawn, "key-eve") == []


def test_the_metric_falls_back_when_a_decision_is_undone(drawn: House) -> None:
    """It is computed when it is asked for; without checks there is none."""
    decide(drawn, TERM, "reject")
    assert b'smallprint_sample_error_rate{adapter="contract-clauses"} 1.0' in exposition()
    decide(drawn, LAW, "accept")
    assert b'smallprint_sample_error_rate{adapter="contract-clauses"} 0.5' in exposition()
    decide(drawn, TERM, "undo")
    assert b'smallprint_sample_error_rate{adapter="contract-clauses"} 0.0' in exposition()
    decide(drawn, LAW, "undo")
    assert b"smallprint_sample_error_rate{" not in exposition()


def test_a_metric_that_can_not_be_read_leaves_the_others() -> None:
    """The database is away, and somebody wants to know why."""

    def broken() -> None:
        raise RuntimeError("no database")

    end = at_scrape(broken)
    try:
        assert b"smallprint_documents_total" in exposition()
    finally:
        end()


def test_the_others_hear_whether_a_clause_was_wrong(drawn: House) -> None:
    """Also of one that was no check, for calibration learns from all."""
    decide(drawn, CAP, "reject")
    decide(drawn, LAW, "accept")
    decide(drawn, LAW, "undo")
    assert [event.wrong for event in drawn.announced()] == [True, False, None]


def test_the_rate_outlives_its_documents(drawn: House) -> None:
    """Nothing of the words is needed for it."""
    decide(drawn, LAW, "reject")
    drawn.delete("doc_1")
    assert rates(drawn)[0]["wrong"] == 1
