"""What waits, and what people decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.review import store
from services.review.insights import seconds_of, without_undone
from services.review.store import DecisionMade
from shared.web.auth import Actor
from tests.unit.review.builders import ReviewService, clause

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years.\n3. Cap. US$ 5."
LAW, TERM, CAP = "governed by Delaware law", "Two years", "US$ 5"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def made(second: float, verdict: Any = "accept", **more: Any) -> DecisionMade:
    given = {"item_id": str(second), "actor": "ada", "bulk": False, **more}
    return DecisionMade(
        kind="clause",
        stage="extraction",
        category="Law",
        origin="model",
        verdict=verdict,
        time=NOON + timedelta(seconds=second),
        **given,
    )


def test_a_decision_takes_the_time_since_the_one_before() -> None:
    decisions = [
        made(0),
        made(20),
        made(25, actor="ben"),
        made(50, "undo"),
        made(60, "reject"),
        made(61, bulk=True),
        made(661),
        made(1261.1),
    ]
    assert list(seconds_of(decisions)) == [20, 10, 600]


def test_an_undone_decision_does_not_count() -> None:
    decisions = [
        made(0, item_id="a"),
        made(1, "undo", item_id="a"),
        made(2, item_id="b"),
        made(3, "undo", item_id="b"),
        made(4, "reject", item_id="b"),
    ]
    assert list(without_undone(decisions)) == [decisions[-1]]


@pytest.fixture
def found(review: ReviewService) -> ReviewService:
    """A contract with three clauses."""
    named = ((LAW, "Governing Law"), (TERM, "Renewal Term"), (CAP, "Governing Law"))
    clauses = [
        clause(TEXT, quote, category, 0.5, number) for number, (quote, category) in enumerate(named)
    ]
    review.read("doc_1", TEXT)
    review.extract("doc_1", clauses)
    return review


def insights(review: ReviewService, key: str = "key-ada", **params: str) -> dict[str, Any]:
    answer = review.client(key).get("/v1/insights", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def decide(review: ReviewService, text: str, verdict: str) -> None:
    (item,) = [item for item in review.items(state="all") if item["text"] == text]
    review.decide(item["id"], verdict)


def test_decisions_count_by_day_and_category(found: ReviewService) -> None:
    decide(found, LAW, "accept")
    decide(found, CAP, "reject")
    seen = insights(found)
    assert (seen["waiting"], seen["decided"], seen["timed"]) == (1, 2, 1)
    assert 0 <= seen["median_seconds"] < 60
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    verdicts = {"accept": 1, "reject": 1, "correct": 0}
    assert seen["days"] == [{"day": today, **verdicts}]
    assert seen["categories"] == [{"kind": "clause", "category": "Governing Law", **verdicts}]
    assert insights(found, until=f"{today}T00:00:00Z")["decided"] == 0
    assert insights(found, since="2999-01-01T00:00:00Z")["median_seconds"] is None
    assert insights(found, "key-eve")["waiting"] == 0


def test_waiting_items_count_by_age(found: ReviewService) -> None:
    ages = {LAW: 1, TERM: 8}
    with found.service.store.write() as session:
        for text, days in ages.items():
            of = store.items.update().where(store.items.c.text == text)
            session.execute(of.values(created=datetime.now(UTC) - timedelta(days=days)))
    seen = insights(found)["ages"]
    assert [(one["from_days"], one["to_days"], one["count"]) for one in seen] == [
        (0, 1, 1),
        (1, 3, 1),
        (3, 7, 0),
        (7, None, 1),
    ]


def test_only_who_reads_results_sees_them(found: ReviewService) -> None:
    analyst = Actor("default", "cara", "k9", scopes=frozenset({"documents:read", "review"}))
    found.keys.actors["key-cara"] = analyst
    assert found.client("key-cara").get("/v1/insights").status_code == 403
