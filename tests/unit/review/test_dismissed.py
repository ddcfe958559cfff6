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


def dismiss(house: House, item: dict[str, Any]) -> None:
    """An analyst rejects an item, and says why."""
    client = house.client()
    client.post("/v1/items/claim", json={"item": item["id"]})
    wish = {"item": item["id"], "verdict": "reject", "note": "so it is"}
    assert client.post("/v1/decisions", json=wish).status_code == 201


def test_a_dismissal_is_undone_also_after_its_report_was_read_anew(house: House) -> None:
    """Triage folds away what the report itself was dismissed for; whoever said so can unsay it."""
    house.find("doc_1", [FINDING])
    (item,) = waiting(house)
    dismiss(house, item)
    house.find("doc_1", [{**FINDING, "dismissed": BEFORE}], attempt=2)
    assert not waiting(house)
    undone = house.client().post("/v1/decisions", json={"item": item["id"], "verdict": "undo"})
    assert undone.status_code == 201, undone.text


def test_what_is_held_stays_when_findings_are_announced_again(house: House) -> None:
    """A dismissal was taken back: what it had folded away waits again, and nobody loses an item."""
    both = [FINDING, {**FINDING, "id": "fd_2", "dismissed": BEFORE}]
    house.find("doc_1", both)
    (first,) = waiting(house)
    client = house.client()
    held = client.post("/v1/items/claim", json={"item": first["id"]}).json()
    house.find("doc_1", [FINDING, {**FINDING, "id": "fd_2"}])
    wish = {"item": first["id"], "verdict": "accept"}
    assert client.post("/v1/decisions", json=wish).status_code == 201, held
    (second,) = waiting(house)
    assert second["result_id"] == "fd_2"
    house.find("doc_1", both)
    assert not waiting(house)
