"""What the machine accepted lies beside the queue: nobody is asked, and everybody can see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.review.house import House, clause

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years.\n3. Cap. US$ 5."
LAW, TERM, CAP = "governed by Delaware law", "Two years", "US$ 5"


def items(house: House, state: str) -> list[dict[str, Any]]:
    """The items in a state."""
    found = house.client().get("/v1/items", params={"state": state}).json()["items"]
    return list(found)


@pytest.fixture
def extracted(house: House) -> House:
    """A contract with one clause that was accepted, one that was drawn, and one for a person."""
    house.read("doc_1", TEXT)
    house.extract(
        "doc_1",
        [
            {**clause(TEXT, LAW, "Governing Law", 0.97, 1), "route": "accept"},
            {**(drawn := clause(TEXT, TERM, "Renewal Term", 0.96, 2)), "route": "review"},
            clause(TEXT, CAP, "Cap On Liability", 0.4, 3),
        ],
        sampled=[drawn["id"]],
    )
    return house


def test_nobody_is_asked_about_what_was_accepted(extracted: House) -> None:
    """It is in no list of what waits, in no count, and never next."""
    waiting = {item["text"] for item in items(extracted, "waiting")}
    assert waiting == {item["text"] for item in items(extracted, "open")} == {TERM, CAP}
    counts = extracted.client().get("/v1/items/counts").json()
    assert (counts["waiting"], counts["claimed"]) == (2, 0)
    assert {group["key"] for group in counts["categories"]} == {"Renewal Term", "Cap On Liability"}
    (accepted,) = items(extracted, "accepted")
    assert (accepted["text"], accepted["route"], accepted["verdict"]) == (LAW, "accept", None)
    assert len(items(extracted, "all")) == 3


def test_what_was_drawn_as_a_check_looks_like_all_that_waits(extracted: House) -> None:
    """Whoever judges it must not know that the machine was sure."""
    by_text = {item["text"]: item for item in items(extracted, "waiting")}
    assert by_text[TERM].keys() == by_text[CAP].keys()
    assert "sampled" not in by_text[TERM]
    for name in ("state", "route"):
        assert by_text[TERM][name] == by_text[CAP][name]


def test_a_person_may_look_at_what_was_accepted_and_decide(extracted: House) -> None:
    """Given back it is accepted as before; rejected it is decided."""
    client = extracted.client()
    (accepted,) = items(extracted, "accepted")
    name = accepted["id"]
    claimed = client.post("/v1/items/claim", json={"item": name}).json()
    assert claimed["state"] == "claimed"
    assert [item["id"] for item in items(extracted, "claimed")] == [name]
    assert name in {item["id"] for item in items(extracted, "open")}
    client.post(f"/v1/items/{name}/release")
    assert [item["id"] for item in items(extracted, "accepted")] == [name]
    client.post("/v1/items/claim", json={"item": name})
    made = client.post("/v1/decisions", json={"item": name, "verdict": "reject"})
    assert made.status_code in (200, 201)
    (decided,) = items(extracted, "decided")
    assert (decided["id"], decided["verdict"]) == (name, "reject")
    assert items(extracted, "accepted") == []


def test_an_export_says_what_was_accepted_without_a_person(extracted: House) -> None:
    """It has a state and nobody who decided."""
    answer = extracted.client().get("/v1/exports", params={"format": "jsonl", "state": "all"})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    (row,) = [row for row in rows if row["state"] == "accepted"]
    assert (row["text"], row["verdict"], row["decided_by"]) == (LAW, None, None)


def test_read_anew_without_a_stated_risk_it_waits_for_a_person(extracted: House) -> None:
    """The last word counts."""
    extracted.extract("doc_1", [clause(TEXT, LAW, "Governing Law", 0.97, 1)], attempt=2)
    assert [item["text"] for item in items(extracted, "waiting")] == [LAW]
    assert items(extracted, "accepted") == []
