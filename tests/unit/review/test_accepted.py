"""What the machine accepted lies beside the queue: nobody is asked, and everybody can see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.review.disguise import APART
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


def finding(number: int, confidence: float, route: str = "review") -> dict[str, Any]:
    """What triage says of a report."""
    return {
        "id": f"fd_{number}",
        "check": "income_sums",
        "confidence": confidence,
        "message": f"1 + {number} = 3",
        "route": route,
    }


def test_a_finding_that_was_accepted_waits_for_nobody_and_one_that_was_drawn_looks_like_others(
    house: House,
) -> None:
    """A person's word about it is counted for what judged it."""
    found = [finding(1, 0.99, "accept"), finding(2, 0.98), finding(3, 0.6)]
    house.find("doc_1", found, sampled=["fd_2"])
    assert [item["result_id"] for item in items(house, "accepted")] == ["fd_1"]
    by_result = {item["result_id"]: item for item in items(house, "waiting")}
    assert by_result.keys() == {"fd_2", "fd_3"}
    assert by_result["fd_3"]["confidence"] == 0.6
    most = 0.6 + APART * (0.99 - 0.6)  # on the way to one that is made up below what is accepted
    assert 0.6 <= by_result["fd_2"]["confidence"] <= most
    assert by_result["fd_2"]["route"] == by_result["fd_3"]["route"] == "review"
    client = house.client()
    for result in ("fd_2", "fd_3"):
        item = by_result[result]["id"]
        client.post("/v1/items/claim", json={"item": item})
        wish = {"item": item, "verdict": "reject"}
        assert client.post("/v1/decisions", json=wish).status_code == 201
    assert [event.wrong for event in house.announced()] == [True, None]
    rates = client.get("/v1/decisions/error-rates").json()["items"]
    whole = [r for r in rates if (r["category"], r["kind"], r["source"]) == (None, None, None)]
    assert [(r["adapter"], r["looked_at"], r["wrong"]) for r in whole] == [("triage-breaks", 1, 1)]
