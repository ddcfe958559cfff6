"""What was dismissed before waits for nobody, and the reason goes with the decision."""

from __future__ import annotations

from typing import Any

from tests.unit.review.house import House, clause
from tests.unit.review.test_handlers import waiting

FINDING: dict[str, Any] = {
    "id": "fd_1",
    "check": "income_sums",
    "confidence": 0.8,
    "message": "1 + 1 = 3",
}
BEFORE = {"reason": "so it is", "by": "ada", "time": "2026-03-01T12:00:00+00:00"}


def test_a_finding_that_is_folded_away_is_not_asked_again(house: House) -> None:
    """The others of its report are."""
    house.find("doc_1", [{**FINDING, "dismissed": BEFORE}, {**FINDING, "id": "fd_2"}])
    (item,) = waiting(house)
    assert item["result_id"] == "fd_2"


def test_the_reason_goes_with_the_decision(house: House) -> None:
    """So that triage can fold the same away; without one it says nothing."""
    house.find("doc_1", [FINDING, {**FINDING, "id": "fd_2"}])
    client = house.client()
    for item, note in zip(waiting(house), ("a lawful presentation", ""), strict=True):
        client.post("/v1/items/claim", json={"item": item["id"]})
        wish = {"item": item["id"], "verdict": "reject", "note": note}
        assert client.post("/v1/decisions", json=wish).status_code == 201
    assert [event.note for event in house.announced()] == ["a lawful presentation", None]


def test_what_is_noted_of_a_clause_stays_in_review(house: House) -> None:
    """Others need no reason, and the bus would keep it after a deletion."""
    text = "1. Law. Delaware governs."
    house.read("doc_1", text)
    house.extract("doc_1", [clause(text, "Delaware governs.", "Governing Law", 0.8)])
    client = house.client()
    (item,) = waiting(house)
    client.post("/v1/items/claim", json={"item": item["id"]})
    wish = {"item": item["id"], "verdict": "reject", "note": "no choice of law"}
    assert client.post("/v1/decisions", json=wish).status_code == 201
    assert [event.note for event in house.announced()] == [None]
