"""The queue after events of other services."""

from __future__ import annotations

from typing import Any

import pytest

from shared.blobs import FileBlobs
from shared.blobs.markers import mark_deleted
from shared.events import (
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    Event,
    FindingsFound,
    Kind,
)
from tests.support.queue import dead_letters
from tests.unit.review.builders import ReviewService, clause, reading_of

TEXT = (
    "AGENCY AGREEMENT\nbetween Alpha GmbH and Beta Inc.\nThis Agreement is governed by the laws "
    "of\nBavaria.\fIt renews for one year unless notice is given.\nNeither party may assign it."
)
LAW = clause(TEXT, "governed by the laws of\nBavaria", "Governing Law", 0.55, 1)
TERM = clause(TEXT, "renews for one year", "Renewal Term", 0.9, 2)
ASSIGN = clause(TEXT, "Neither party may assign it", "Anti-Assignment", 0.31, 3)


def test_every_clause_becomes_one_item_least_certain_first(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM, ASSIGN])
    items = review.items()
    assert [i["category"] for i in items] == ["Anti-Assignment", "Governing Law", "Renewal Term"]
    law = items[1]
    assert law["document"] == "contract.pdf"
    assert law["text"] == TEXT[law["start"] : law["end"]]
    assert law["before"].endswith("This Agreement is ")
    assert law["after"].startswith(".\fIt renews")
    assert [box["page"] for box in law["boxes"]] == [1, 1]


def test_an_item_has_the_omitted_parts_of_its_clause(review: ReviewService) -> None:
    omitted = [{"start": LAW["start"] + 9, "end": LAW["start"] + 11}]
    review.read("doc_1", TEXT)
    review.extract("doc_1", [{**LAW, "omitted": omitted}, TERM])
    assert [item["omitted"] for item in review.items()] == [omitted, []]


def test_every_finding_becomes_one_item(review: ReviewService) -> None:
    found = {
        "id": "fd_1",
        "check": "balance",
        "confidence": 0.7,
        "statement": "balance_sheet",
        "row": 4,
        "column": 0,
        "reported": 120.0,
        "expected": 100.0,
        "message": "60 + 40 = 100, not 120",
    }
    review.read("doc_2", "{}", name="q3.json", kind="report", media_type="application/json")
    review.find("doc_2", [found])
    (item,) = review.items(kind="finding")
    assert item["text"] == "60 + 40 = 100, not 120"
    assert item["finding"]["expected"] == 100.0
    assert item["document"] == "q3.json"


def test_a_finding_is_shown_at_its_cell(review: ReviewService) -> None:
    text = "Cash 40\nDebtors 60\nTotal 120"
    reading = reading_of(text)
    cells = [
        {"statement": "balance_sheet", "row": row, "column": 0, "label": label, "place": place}
        for row, label, place in (
            (2, "Total", {"page": 1, "start": 25, "end": 28, "box": [1.0, 2.0, 3.0, 4.0]}),
            (0, "Cash", {"page": 1, "start": 5, "end": 7, "cell": "B1", "element": "f1"}),
            (1, "Debtors", None),
        )
    ]
    boxes = [box._asdict() for box in reading.boxes_of(25, 28)]
    review.read("doc_2", text, name="q3.pdf", kind="report")
    review.find("doc_2", [{**a_finding(1, "A"), "cells": cells, "page": 1, "boxes": boxes}])

    (item,) = review.items()

    assert text[item["start"] : item["end"]] == "120"
    assert (item["page"], item["boxes"]) == (1, boxes)
    kept = item["finding"]["cells"]
    assert kept[0]["place"]["box"] == [1.0, 2.0, 3.0, 4.0]
    assert (kept[1]["place"]["cell"], kept[1]["place"]["element"]) == ("B1", "f1")
    assert kept[2]["place"] is None
    review.delete("doc_2")
    assert review.items(state="all") == []


def test_a_second_extraction_replaces_undecided_items(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    review.decide(review.items()[0]["id"])
    review.read("doc_1", TEXT, attempt=2)
    assert review.items() == []
    review.extract("doc_1", [LAW, ASSIGN], attempt=2)
    assert [i["category"] for i in review.items()] == ["Anti-Assignment"]
    (kept,) = review.items(state="decided")
    assert kept["category"] == "Governing Law"


def a_finding(number: int, filing: str) -> dict[str, Any]:
    return {
        "id": f"fd_{number:032x}",
        "filing": filing,
        "check": "balance",
        "confidence": number / 10,
        "statement": "balance_sheet",
        "row": 4,
        "column": 0,
        "message": "60 + 40 = 100, not 120",
    }


def test_a_decision_belongs_to_the_finding_of_its_filing(review: ReviewService) -> None:
    found = [a_finding(1, "A"), a_finding(2, "B")]
    for attempt in (1, 2):
        review.read(
            "doc_2", "{}", kind="report", media_type="application/x-ndjson", attempt=attempt
        )
        review.find("doc_2", found, attempt=attempt)
        if attempt == 1:
            review.decide(review.items()[0]["id"], "reject")
    (open_,) = review.items()
    assert (open_["result_id"], open_["finding"]["filing"]) == (found[1]["id"], "B")
    (rejected,) = review.items(state="decided")
    assert (rejected["result_id"], rejected["finding"]["filing"]) == (found[0]["id"], "A")


def test_one_decision_counts_for_one_of_two_equal_results(review: ReviewService) -> None:
    for attempt in (1, 2):
        review.read("doc_1", TEXT, attempt=attempt)
        review.extract("doc_1", [LAW, {**LAW, "id": f"cl_{9:032x}"}], attempt=attempt)
        if attempt == 1:
            review.decide(review.items()[0]["id"], "reject")
    assert (len(review.items()), len(review.items(state="decided"))) == (1, 1)


def test_events_of_an_older_attempt_do_nothing(review: ReviewService) -> None:
    review.read("doc_1", TEXT, attempt=2)
    review.extract("doc_1", [LAW], attempt=2)
    review.extract("doc_1", [TERM, ASSIGN], attempt=1)
    review.read("doc_1", "another text", attempt=1)
    assert [i["category"] for i in review.items()] == ["Governing Law"]


def test_clauses_of_an_unknown_document_are_queued_without_context(review: ReviewService) -> None:
    review.extract("doc_1", [LAW], name="agency.pdf")
    (item,) = review.items()
    assert (item["document"], item["before"]) == ("agency.pdf", "")


def test_a_deleted_document_leaves_only_who_decided_when(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    review.decide(review.items()[0]["id"], "reject")
    review.delete("doc_1")
    review.extract("doc_1", [ASSIGN])
    review.read("doc_1", TEXT)
    assert review.items(state="all") == []
    (line,) = review.client().get("/v1/decisions").json()["items"]
    assert (line["actor"], line["verdict"], line["text"], line["document_name"]) == (
        "ada",
        "reject",
        "",
        "",
    )


def test_a_cancelled_document_leaves_the_queue_until_its_next_attempt(
    review: ReviewService,
) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    review.decide(review.items()[0]["id"], "reject")
    (decided,) = review.client().get("/v1/decisions").json()["items"]
    review.cancel("doc_1")
    review.extract("doc_1", [LAW, TERM, ASSIGN])
    review.read("doc_1", TEXT)
    assert review.items() == []
    assert "cancelled" in review.decide(decided["item_id"], "undo", 409)["detail"]
    review.read("doc_1", TEXT, attempt=2)
    review.extract("doc_1", [LAW, TERM], attempt=2)
    review.cancel("doc_1", attempt=1)
    assert len(review.items()) == 1
    assert len(review.items(state="all")) == 2


def test_only_a_cancellation_withdraws_later_results(review: ReviewService) -> None:
    review.cancel("doc_1")
    review.extract("doc_1", [LAW])
    review.read("doc_1", TEXT)
    assert review.items() == []
    review.read("doc_2", TEXT)
    review.extract("doc_2", [LAW])
    review.publish(
        DocumentFailed(document_id="doc_2", stage="ingest", code="internal", reason="it broke")
    )
    assert len(review.items()) == 1


@pytest.mark.parametrize("what", ["reading", "clauses", "findings"])
@pytest.mark.parametrize("marked", [True, False], ids=["deleted", "lost"])
def test_missing_blobs_are_a_failure_only_of_an_existing_document(
    review: ReviewService, what: str, marked: bool
) -> None:
    gone = review.blobs.put("default", b"results")
    if what == "reading":
        event: Event = DocumentRead(
            document_id="doc_1",
            name="a.pdf",
            media_type="text/plain",
            kind="contract",
            original=gone,
            text=gone,
            layout=gone,
            pages=1,
        )
    elif what == "clauses":
        event = ClausesExtracted(
            document_id="doc_1",
            name="a.pdf",
            clauses=gone,
            count=1,
            adapter="contract-clauses",
            adapter_version="1",
        )
    else:
        event = FindingsFound(
            document_id="doc_1", name="a.json", findings=gone, count=1, flagged=True, risk=0.5
        )
    review.blobs.delete("default", gone)
    if marked:
        mark_deleted(FileBlobs(review.service.settings.blobs, "extraction"), "default", "doc_1")
    review.publish(event)
    assert len(dead_letters(review.service)) == (0 if marked else 1)
    assert review.items(state="all") == []
    review.delete("doc_1")
    assert review.client().get("/v1/items/pages", params={"document": "doc_1"}).status_code == 404


def test_another_kind_withdraws_the_results_of_the_old_one(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    review.reclassify("doc_1", "report", "contract")
    assert review.items() == []


def test_decided_results_return_with_their_kind(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, TERM])
    item = review.items()[0]["id"]
    review.decide(item)
    review.reclassify("doc_1", "report", "contract", attempt=2)
    review.read("doc_1", TEXT, kind="report", attempt=2)
    assert review.items(state="all") == []
    assert review.client().get("/v1/items/counts").json()["decided"] == 0
    assert review.client().get("/v1/exports", params={"state": "all"}).text == ""
    assert len(review.client().get("/v1/decisions").json()["items"]) == 1
    review.reclassify("doc_1", "contract", "report", attempt=3)
    review.read("doc_1", TEXT, attempt=3)
    review.extract("doc_1", [LAW, TERM], attempt=3)
    assert [one["id"] for one in review.items(state="decided")] == [item]
    assert len(review.items()) == 1


def test_results_of_the_previous_kind_are_ignored(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.reclassify("doc_1", "report", "contract", attempt=2)
    review.extract("doc_1", [LAW, TERM])
    assert review.items() == []


def test_an_unsure_kind_is_asked_once(review: ReviewService) -> None:
    review.read("doc_1", TEXT, unsure=0.6)
    review.extract("doc_1", [LAW])
    review.read("doc_1", TEXT, unsure=0.6)
    (asked,) = review.items(category="document_kind")
    assert (asked["kind"], asked["stage"], asked["confidence"]) == ("finding", "ingest", 0.6)
    assert asked["finding"] == {"check": "document_kind", "kind": "contract"}
    assert len(review.items()) == 2
    review.read("doc_1", TEXT, attempt=2, unsure=0.6)
    assert [one["id"] for one in review.items(category="document_kind")] == [asked["id"]]


@pytest.mark.parametrize("kind", ["contract", "report"])
def test_a_kind_set_elsewhere_removes_the_question(review: ReviewService, kind: Kind) -> None:
    review.read("doc_1", TEXT, unsure=0.6)
    attempt = 1 if kind == "contract" else 2
    review.reclassify("doc_1", kind, "contract", attempt=attempt)
    if attempt == 2:
        review.read("doc_1", TEXT, kind=kind, attempt=2)
    assert review.items() == []


def test_the_answer_to_a_kind_is_announced_and_can_be_undone(review: ReviewService) -> None:
    review.read("doc_1", TEXT, unsure=0.6)
    (asked,) = review.items()
    item = asked["id"]
    review.decide(item, "reject", 422)
    for wrong in ("contract", "poem"):
        review.decide(item, "correct", 422, correction={"category": wrong})
    review.decide(item, "correct", correction={"category": "report"})
    (event,) = review.announced()
    assert (event.stage, event.item_id, event.verdict) == ("ingest", item, "correct")
    assert event.correction is not None
    assert event.correction["category"] == "report"
    review.reclassify("doc_1", "report", "contract", attempt=2)
    review.read("doc_1", TEXT, kind="report", attempt=2)
    assert [one["id"] for one in review.items(state="decided")] == [item]
    review.decide(item, "undo")
    review.reclassify("doc_1", "contract", "report", attempt=3)
    review.read("doc_1", TEXT, attempt=3, unsure=0.6)
    assert [one["id"] for one in review.items()] == [item]


def test_invalid_results_are_dead_letters(review: ReviewService) -> None:
    review.read("doc_1", TEXT)
    review.extract("doc_1", [LAW, {"id": "cl_2"}])
    assert review.items() == []
    (dead,) = dead_letters(review.service)
    assert "doc_1" in dead.error
