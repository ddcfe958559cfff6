"""Results without a reviewer: accepted automatically, or dismissed before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.review.blinding.blinding import APART
from tests.unit.review.builders import ReviewService, clause

TEXT = "1. Law. This Agreement is governed by Delaware law.\n2. Term. Two years.\n3. Cap. US$ 5."
LAW, TERM, CAP = "governed by Delaware law", "Two years", "US$ 5"
DISMISSED = {"reason": "so it is", "by": "ada", "time": "2026-03-01T12:00:00+00:00"}


@pytest.fixture
def extracted(review: ReviewService) -> ReviewService:
    """An accepted clause, an audit sample, and a clause for reviewers."""
    sample = clause(TEXT, TERM, "Renewal Term", 0.96, 2, route="review")
    review.read("doc_1", TEXT)
    review.extract(
        "doc_1",
        [
            clause(TEXT, LAW, "Governing Law", 0.97, 1, route="accept"),
            sample,
            clause(TEXT, CAP, "Cap On Liability", 0.4, 3),
        ],
        sampled=[sample["id"]],
    )
    return review


def finding(number: int, confidence: float = 0.8, **more: Any) -> dict[str, Any]:
    message = f"1 + {number} = 3"
    found = {"id": f"fd_{number}", "check": "income_sums", "message": message}
    return {**found, "confidence": confidence, **more}


def test_an_accepted_clause_is_not_in_the_queue(extracted: ReviewService) -> None:
    waiting = {item["text"] for item in extracted.items(state="waiting")}
    assert waiting == {item["text"] for item in extracted.items(state="open")} == {TERM, CAP}
    counts = extracted.client().get("/v1/items/counts").json()
    assert (counts["waiting"], counts["claimed"]) == (2, 0)
    assert {group["key"] for group in counts["categories"]} == {"Renewal Term", "Cap On Liability"}
    (accepted,) = extracted.items(state="accepted")
    assert (accepted["text"], accepted["route"], accepted["verdict"]) == (LAW, "accept", None)
    assert len(extracted.items(state="all")) == 3


def test_progress_counts_what_is_for_people(extracted: ReviewService) -> None:
    def progress(key: str = "key-ada") -> object:
        asked = {"document": ["doc_1", "doc_2"]}
        return extracted.client(key).get("/v1/items/progress", params=asked).json()["items"]

    assert progress() == [{"document_id": "doc_1", "decided": 0, "total": 2}]
    extracted.decide(next(one["id"] for one in extracted.items() if one["text"] == TERM))
    assert progress() == [{"document_id": "doc_1", "decided": 1, "total": 2}]
    assert progress("key-eve") == extracted.client().get("/v1/items/progress").json()["items"] == []


def test_an_audit_sample_looks_like_a_waiting_item(extracted: ReviewService) -> None:
    by_text = {item["text"]: item for item in extracted.items(state="waiting")}
    assert by_text[TERM].keys() == by_text[CAP].keys()
    assert "sampled" not in by_text[TERM]
    for name in ("state", "route"):
        assert by_text[TERM][name] == by_text[CAP][name]


def test_an_accepted_clause_can_be_claimed_released_and_decided(extracted: ReviewService) -> None:
    (accepted,) = extracted.items(state="accepted")
    name = accepted["id"]
    assert extracted.claim(item=name)["state"] == "claimed"
    assert [item["id"] for item in extracted.items(state="claimed")] == [name]
    assert name in {item["id"] for item in extracted.items(state="open")}
    extracted.client().post(f"/v1/items/{name}/release")
    assert [item["id"] for item in extracted.items(state="accepted")] == [name]
    extracted.decide(name, "reject")
    (decided,) = extracted.items(state="decided")
    assert (decided["id"], decided["verdict"]) == (name, "reject")
    assert extracted.items(state="accepted") == []


def test_an_export_has_accepted_results(extracted: ReviewService) -> None:
    answer = extracted.client().get("/v1/exports", params={"format": "jsonl", "state": "all"})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    (row,) = [row for row in rows if row["state"] == "accepted"]
    assert (row["text"], row["verdict"], row["decided_by"]) == (LAW, None, None)


def test_an_export_has_the_value_of_a_clause(extracted: ReviewService) -> None:
    value: dict[str, Any] = {
        "kind": "jurisdiction",
        "value": "Norway",
        "currency": None,
        "other_values": [],
    }
    law = clause(TEXT, LAW, "Governing Law", 0.97, 1, value=value)
    extracted.extract("doc_1", [law], attempt=2)
    rows = map(json.loads, extracted.client().get("/v1/exports").text.splitlines())
    assert [row["value"] for row in rows] == ["Norway"]


def test_a_new_attempt_decides_the_route_again(extracted: ReviewService) -> None:
    extracted.extract("doc_1", [clause(TEXT, LAW, "Governing Law", 0.97, 1)], attempt=2)
    assert [item["text"] for item in extracted.items(state="waiting")] == [LAW]
    assert extracted.items(state="accepted") == []


def test_sampled_findings_look_like_others_and_count_in_the_error_rate(
    review: ReviewService,
) -> None:
    found = [finding(1, 0.99, route="accept"), finding(2, 0.98), finding(3, 0.6)]
    review.find("doc_1", found, sampled=["fd_2"])
    assert [item["result_id"] for item in review.items(state="accepted")] == ["fd_1"]
    by_result = {item["result_id"]: item for item in review.items(state="waiting")}
    assert by_result.keys() == {"fd_2", "fd_3"}
    assert by_result["fd_3"]["confidence"] == 0.6
    most = 0.6 + APART * (0.99 - 0.6)  # between the other one and an invented one
    assert 0.6 <= by_result["fd_2"]["confidence"] <= most
    assert by_result["fd_2"]["route"] == by_result["fd_3"]["route"] == "review"
    for result in ("fd_2", "fd_3"):
        review.decide(by_result[result]["id"], "reject")
    assert [event.wrong for event in review.announced()] == [True, None]
    rates = review.client().get("/v1/decisions/error-rates").json()["items"]
    whole = [r for r in rates if (r["category"], r["kind"], r["source"]) == (None, None, None)]
    assert [(r["adapter"], r["checked"], r["wrong"]) for r in whole] == [("triage-breaks", 1, 1)]


def test_a_dismissed_finding_gets_no_item(review: ReviewService) -> None:
    review.find("doc_1", [finding(1, dismissed=DISMISSED), finding(2)])
    (item,) = review.items()
    assert item["result_id"] == "fd_2"


def test_only_the_note_of_a_finding_is_announced(review: ReviewService) -> None:
    review.find("doc_1", [finding(1), finding(2)])
    for item, note in zip(review.items(), ("a lawful presentation", ""), strict=True):
        review.decide(item["id"], "reject", note=note)
    review.read("doc_2", TEXT)
    review.extract("doc_2", [clause(TEXT, LAW, "Governing Law", 0.8)])
    review.decide(review.items()[0]["id"], "reject", note="no choice of law")
    assert [event.note for event in review.announced()] == ["a lawful presentation", None, None]


def test_a_dismissal_can_be_undone_after_its_report_was_processed_again(
    review: ReviewService,
) -> None:
    review.find("doc_1", [finding(1)])
    (item,) = review.items()
    review.decide(item["id"], "reject", note="so it is")
    review.find("doc_1", [finding(1, dismissed=DISMISSED)], attempt=2)
    assert review.items() == []
    review.decide(item["id"], "undo")


def test_claimed_items_stay_when_findings_are_announced_again(review: ReviewService) -> None:
    both = [finding(1), finding(2, dismissed=DISMISSED)]
    review.find("doc_1", both)
    held = review.claim()
    review.find("doc_1", [finding(1), finding(2)])  # the dismissal was withdrawn
    wanted = {"item": held["id"], "verdict": "accept"}
    assert review.client().post("/v1/decisions", json=wanted).status_code == 201
    (second,) = review.items()
    assert second["result_id"] == "fd_2"
    review.find("doc_1", both)
    assert review.items() == []
