"""The live error rate, from decisions about audit samples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.review import store
from services.review.error_rates import ErrorRate, SampleDecision, error_rates, was_wrong
from shared.metrics import at_scrape, exposition
from tests.unit.review.builders import ReviewService, clause
from tests.unit.review.test_domain import an_item

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years.\n3. Cap. US$ 5."
LAW, TERM, CAP = "governed by Delaware law", "Two years", "US$ 5"
SAMPLE = replace(an_item(), sampled=True, text=LAW, category="Governing Law")


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
def test_a_clause_is_wrong_by_the_legal_metric(
    verdict: Any, right: dict[str, str] | None, wrong: bool | None
) -> None:
    assert was_wrong(SAMPLE, verdict, right) is wrong
    assert was_wrong(replace(SAMPLE, kind="finding", sampled=False), verdict, right) is None


@pytest.mark.parametrize(
    ("verdict", "wrong"), [("accept", False), ("reject", True), ("undo", None)]
)
def test_a_sampled_finding_is_wrong_if_rejected(verdict: Any, wrong: bool | None) -> None:
    assert was_wrong(replace(SAMPLE, kind="finding"), verdict, None) is wrong


def test_the_last_decision_about_each_clause_counts() -> None:
    decisions = [
        SampleDecision("1", "a", "Law", False, "contract", "application/pdf"),
        SampleDecision("2", "a", "Law", True),
        SampleDecision("3", "a", "Cap", True),
        SampleDecision("3", "a", "Cap", None),
        SampleDecision("4", "b", "Law", True),
        SampleDecision("4", "b", "Law", None),
        SampleDecision("4", "b", "Law", False),
    ]
    assert error_rates(decisions) == [
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
def sampled(review: ReviewService) -> ReviewService:
    """A contract with two audit samples and one other clause."""
    found = [
        clause(TEXT, quote, category, confidence, number, adapter="contract-clauses")
        for number, (quote, category, confidence) in enumerate(
            (
                (LAW, "Governing Law", 0.97),
                (TERM, "Renewal Term", 0.96),
                (CAP, "Cap On Liability", 0.4),
            )
        )
    ]
    review.read("doc_1", TEXT)
    review.extract("doc_1", found, sampled=[found[0]["id"], found[1]["id"]])
    return review


def decide(review: ReviewService, text: str, verdict: str) -> None:
    (item,) = [item for item in review.items(state="all") if item["text"] == text]
    answer = review.decide(item["id"], verdict)
    assert not {"sampled", "wrong"} & {*answer["item"], *answer["decision"]}


def rates(review: ReviewService, key: str = "key-ada", **params: str) -> list[dict[str, Any]]:
    answer = review.client(key).get("/v1/decisions/error-rates", params=params)
    return list(answer.json()["items"])


def test_decisions_about_samples_make_the_error_rate(sampled: ReviewService) -> None:
    decide(sampled, CAP, "reject")
    assert rates(sampled) == []
    decide(sampled, LAW, "accept")
    decide(sampled, TERM, "reject")
    named = ("adapter", "category", "kind", "source")
    found = {tuple(line[name] for name in named): line for line in rates(sampled)}
    everything = found["contract-clauses", None, None, None]
    assert (everything["checked"], everything["wrong"], everything["rate"]) == (2, 1, 0.5)
    assert found["contract-clauses", "Renewal Term", None, None]["wrong"] == 1
    assert found["contract-clauses", None, "contract", None]["checked"] == 2
    assert found["contract-clauses", None, None, "application/pdf"]["wrong"] == 1
    low, high = everything["interval"]
    assert low < 0.5 < high
    assert rates(sampled, since="2999-01-01T00:00:00Z") == []
    assert rates(sampled, until="2026-01-01T00:00:00Z") == []
    assert rates(sampled, "key-eve") == []


def test_the_metric_has_the_decisions_up_to_yesterday(sampled: ReviewService) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)

    def a_day_passes() -> None:
        with sampled.service.store.write() as session:
            of = store.decisions.c
            mine = store.decisions.update().where(of.tenant == "default", of.time > yesterday)
            session.execute(mine.values(time=yesterday))

    shown = b'smallprint_sample_error_rate{adapter="contract-clauses"}'
    before = b""
    for text, verdict, rate in (
        (TERM, "reject", b" 1.0"),
        (LAW, "accept", b" 0.5"),
        (TERM, "undo", b" 0.0"),
    ):
        decide(sampled, text, verdict)
        measured = exposition()
        assert shown + before in measured if before else shown not in measured
        a_day_passes()
        assert shown + rate in exposition()
        before = rate
    decide(sampled, LAW, "undo")
    a_day_passes()
    assert shown not in exposition()


def test_a_metric_that_fails_leaves_the_others() -> None:
    def broken() -> None:
        raise RuntimeError("no database")

    end = at_scrape(broken)
    try:
        assert b"smallprint_documents_total" in exposition()
    finally:
        end()


def test_a_decision_event_says_whether_the_clause_was_wrong(sampled: ReviewService) -> None:
    decide(sampled, CAP, "reject")
    decide(sampled, LAW, "accept")
    decide(sampled, LAW, "undo")
    assert [event.wrong for event in sampled.announced()] == [True, False, None]


def test_the_rate_outlives_its_documents(sampled: ReviewService) -> None:
    decide(sampled, LAW, "reject")
    sampled.delete("doc_1")
    assert rates(sampled)[0]["wrong"] == 1
