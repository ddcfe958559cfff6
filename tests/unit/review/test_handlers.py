"""What the queue holds after what happened to documents."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import (
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    Event,
    FindingsFound,
    Kind,
)
from shared.storage import FileBlobs
from shared.storage.deletion import mark_deleted
from tests.unit.review.house import House, clause, reading_of

TEXT = (
    "AGENCY AGREEMENT\nbetween Alpha GmbH and Beta Inc.\nThis Agreement is governed by the laws "
    "of\nBavaria.\fIt renews for one year unless notice is given.\nNeither party may assign it."
)
LAW = clause(TEXT, "governed by the laws of\nBavaria", "Governing Law", 0.55, 1)
TERM = clause(TEXT, "renews for one year", "Renewal Term", 0.9, 2)
ASSIGN = clause(TEXT, "Neither party may assign it", "Anti-Assignment", 0.31, 3)


def waiting(house: House, **params: str) -> list[dict[str, Any]]:
    """The queue as an analyst sees it."""
    answer = house.client().get("/v1/items", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def decide(house: House, item: dict[str, Any], verdict: str = "accept") -> None:
    """Claim and decide as Ada."""
    client = house.client()
    assert client.post("/v1/items/claim", json={"item": item["id"]}).status_code == 200
    answer = client.post("/v1/decisions", json={"item": item["id"], "verdict": verdict})
    assert answer.status_code == 201, answer.text


def test_every_clause_becomes_one_item_least_certain_first(house: House) -> None:
    """The queue begins with what the reviewer is likeliest to change."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM, ASSIGN])
    items = waiting(house)
    assert [i["category"] for i in items] == ["Anti-Assignment", "Governing Law", "Renewal Term"]
    law = items[1]
    assert law["document"] == "contract.pdf"
    assert law["text"] == TEXT[law["start"] : law["end"]]
    assert law["before"].endswith("This Agreement is ")
    assert law["after"].startswith(".\fIt renews")
    assert [box["page"] for box in law["boxes"]] == [1, 1]


def test_every_finding_becomes_one_item(house: House) -> None:
    """A finding carries its arithmetic and its place in the statement."""
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
    house.read("doc_2", "{}", name="q3.json", kind="report", media_type="application/json")
    house.find("doc_2", [found])
    (item,) = waiting(house, kind="finding")
    assert item["text"] == "60 + 40 = 100, not 120"
    assert item["finding"]["expected"] == 100.0
    assert item["document"] == "q3.json"


def test_a_finding_is_shown_where_its_cell_stands(house: House) -> None:
    """Its span is that of the cell that it is about, its boxes those of all; all of it is kept."""
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
    house.read("doc_2", text, name="q3.pdf", kind="report")
    house.find("doc_2", [{**a_finding(1, "A"), "cells": cells, "page": 1, "boxes": boxes}])

    (item,) = waiting(house)

    assert text[item["start"] : item["end"]] == "120"
    assert (item["page"], item["boxes"]) == (1, boxes)
    kept = item["finding"]["cells"]
    assert kept[0]["place"]["box"] == [1.0, 2.0, 3.0, 4.0]
    assert (kept[1]["place"]["cell"], kept[1]["place"]["element"]) == ("B1", "f1")
    assert kept[2]["place"] is None
    house.delete("doc_2")
    assert waiting(house, state="all") == []


def test_a_second_extraction_replaces_what_is_undecided(house: House) -> None:
    """What was decided stays; what was not is asked in its newest form alone."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    decide(house, waiting(house)[0])
    house.read("doc_1", TEXT, attempt=2)
    assert waiting(house) == []
    house.extract("doc_1", [LAW, ASSIGN], attempt=2)
    assert [i["category"] for i in waiting(house)] == ["Anti-Assignment"]
    (kept,) = waiting(house, state="decided")
    assert kept["category"] == "Governing Law"


def a_finding(number: int, filing: str) -> dict[str, Any]:
    """A sum that is wrong by the same numbers in whichever filing."""
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


def test_a_verdict_stays_with_the_finding_of_its_own_filing(house: House) -> None:
    """Findings of two filings with equal numbers read alike, and are each asked on their own."""
    found = [a_finding(1, "A"), a_finding(2, "B")]
    for attempt in (1, 2):
        house.read("doc_2", "{}", kind="report", media_type="application/x-ndjson", attempt=attempt)
        house.find("doc_2", found, attempt=attempt)
        if attempt == 1:
            decide(house, waiting(house)[0], "reject")
    (open_,) = waiting(house)
    assert (open_["result_id"], open_["finding"]["filing"]) == (found[1]["id"], "B")
    (rejected,) = waiting(house, state="decided")
    assert (rejected["result_id"], rejected["finding"]["filing"]) == (found[0]["id"], "A")


def test_one_verdict_answers_for_one_result_alone(house: House) -> None:
    """Of two results that are alike in everything one stays decided, and the other is asked."""
    for attempt in (1, 2):
        house.read("doc_1", TEXT, attempt=attempt)
        house.extract("doc_1", [LAW, {**LAW, "id": f"cl_{9:032x}"}], attempt=attempt)
        if attempt == 1:
            decide(house, waiting(house)[0], "reject")
    assert (len(waiting(house)), len(waiting(house, state="decided"))) == (1, 1)


def test_a_late_extraction_of_an_older_reading_does_nothing(house: House) -> None:
    """Events that come late find that the document has moved on."""
    house.read("doc_1", TEXT, attempt=2)
    house.extract("doc_1", [LAW], attempt=2)
    house.extract("doc_1", [TERM, ASSIGN], attempt=1)
    house.read("doc_1", "another text", attempt=1)
    assert [i["category"] for i in waiting(house)] == ["Governing Law"]


def test_clauses_are_queued_even_if_the_reading_was_never_heard_of(house: House) -> None:
    """Without the text an item has no context, and waits all the same."""
    house.extract("doc_1", [LAW], name="agency.pdf")
    (item,) = waiting(house)
    assert (item["document"], item["before"]) == ("agency.pdf", "")


def test_a_deleted_document_is_forgotten_and_stays_so(house: House) -> None:
    """Its words are gone from queue and audit, late events do nothing, who decided what remains."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    decide(house, waiting(house)[0], "reject")
    house.delete("doc_1")
    house.extract("doc_1", [ASSIGN])
    house.read("doc_1", TEXT)
    assert waiting(house, state="all") == []
    (line,) = house.client().get("/v1/decisions").json()["items"]
    assert (line["actor"], line["verdict"], line["text"], line["document_name"]) == (
        "ada",
        "reject",
        "",
        "",
    )


def test_a_cancelled_document_leaves_the_queue_until_it_is_read_anew(house: House) -> None:
    """What waits is withdrawn, what comes late stays out, and a decision can't be taken back; it is
    kept, and answers for the same clause in the next attempt.
    """
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    decide(house, waiting(house)[0], "reject")
    (decided,) = house.client().get("/v1/decisions").json()["items"]
    house.cancel("doc_1")
    house.extract("doc_1", [LAW, TERM, ASSIGN])
    house.read("doc_1", TEXT)
    assert waiting(house) == []
    undone = house.client().post(
        "/v1/decisions", json={"item": decided["item_id"], "verdict": "undo"}
    )
    assert undone.status_code == 409
    assert "stopped" in undone.json()["detail"]
    house.read("doc_1", TEXT, attempt=2)
    house.extract("doc_1", [LAW, TERM], attempt=2)
    house.cancel("doc_1", attempt=1)
    assert len(waiting(house)) == 1
    assert len(waiting(house, state="all")) == 2


def test_a_cancellation_that_comes_before_everything_else(house: House) -> None:
    """Results of an attempt that was never heard of, and is over, wait for nobody; other failures
    withdraw nothing.
    """
    house.cancel("doc_1")
    house.extract("doc_1", [LAW])
    house.read("doc_1", TEXT)
    assert waiting(house) == []
    house.read("doc_2", TEXT)
    house.extract("doc_2", [LAW])
    house.hear(
        DocumentFailed(document_id="doc_2", stage="ingest", code="internal", reason="it broke")
    )
    assert len(waiting(house)) == 1


@pytest.mark.parametrize("what", ["reading", "clauses", "findings"])
@pytest.mark.parametrize("marked", [True, False], ids=["deleted", "lost"])
def test_blobs_that_are_gone_with_their_document_are_no_failure(
    house: House, what: str, marked: bool
) -> None:
    """Another service may hear of a deletion first; bytes that are lost without one are told of."""
    gone = house.blobs.put("default", b"what was found in it")
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
    house.blobs.delete("default", gone)
    if marked:
        mark_deleted(FileBlobs(house.service.settings.blobs, "extraction"), "default", "doc_1")
    house.hear(event)
    assert len(house.service.bus.dead_letters("review")) == (0 if marked else 1)
    assert waiting(house, state="all") == []
    house.delete("doc_1")
    assert house.client().get("/v1/items/pages", params={"document": "doc_1"}).status_code == 404


def test_another_kind_withdraws_the_results_of_the_old_one(house: House) -> None:
    """Clauses of what turns out to be a report are not asked about."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    house.rekind("doc_1", "report", "contract")
    assert waiting(house) == []


def answer(house: House, item: str, verdict: str, **wish: Any) -> int:
    """Claim an item and decide it, as Ada; returns the status."""
    client = house.client()
    if verdict != "undo":
        client.post("/v1/items/claim", json={"item": item}).raise_for_status()
    wish |= {"item": item, "verdict": verdict}
    return int(client.post("/v1/decisions", json=wish).status_code)


def test_decided_results_of_another_kind_are_shown_again_only_with_it(house: House) -> None:
    """They leave lists, counts and exports, stay in the audit, and come back decided."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, TERM])
    item = waiting(house)[0]["id"]
    decide(house, waiting(house)[0])
    house.rekind("doc_1", "report", "contract", attempt=2)
    house.read("doc_1", TEXT, kind="report", attempt=2)
    assert waiting(house, state="all") == []
    assert house.client().get("/v1/items/counts").json()["decided"] == 0
    assert house.client().get("/v1/exports", params={"state": "all"}).text == ""
    assert len(house.client().get("/v1/decisions").json()["items"]) == 1
    house.rekind("doc_1", "contract", "report", attempt=3)
    house.read("doc_1", TEXT, attempt=3)
    house.extract("doc_1", [LAW, TERM], attempt=3)
    assert [one["id"] for one in waiting(house, state="decided")] == [item]
    assert len(waiting(house)) == 1


def test_results_that_come_after_another_kind_was_said_are_passed_over(house: House) -> None:
    """Extraction was at work on a contract that is none by now."""
    house.read("doc_1", TEXT)
    house.rekind("doc_1", "report", "contract", attempt=2)
    house.extract("doc_1", [LAW, TERM])
    assert waiting(house) == []


def test_an_unsure_kind_is_asked_once(house: House) -> None:
    """The question waits beside what is found, however often the document is read."""
    house.read("doc_1", TEXT, unsure=0.6)
    house.extract("doc_1", [LAW])
    house.read("doc_1", TEXT, unsure=0.6)
    (asked,) = waiting(house, category="document_kind")
    assert (asked["kind"], asked["stage"], asked["confidence"]) == ("finding", "ingest", 0.6)
    assert asked["finding"] == {"check": "document_kind", "kind": "contract"}
    assert len(waiting(house)) == 2
    house.read("doc_1", TEXT, attempt=2, unsure=0.6)
    assert [one["id"] for one in waiting(house, category="document_kind")] == [asked["id"]]


@pytest.mark.parametrize("said", ["contract", "report"])
def test_nobody_is_asked_for_a_kind_that_somebody_said(house: House, said: Kind) -> None:
    """By REST, or with another upload: as it was taken, or as something else."""
    house.read("doc_1", TEXT, unsure=0.6)
    attempt = 1 if said == "contract" else 2
    house.rekind("doc_1", said, "contract", attempt=attempt)
    if attempt == 2:
        house.read("doc_1", TEXT, kind=said, attempt=2)
    assert waiting(house) == []


def test_the_answer_to_a_kind_is_announced_and_can_be_undone(house: House) -> None:
    """A correction names the kind; the question comes back after an undo, although it was read
    anew since.
    """
    house.read("doc_1", TEXT, unsure=0.6)
    (asked,) = waiting(house)
    item = asked["id"]
    assert answer(house, item, "reject") == 422
    for wrong in ("contract", "poem"):
        right = {"category": wrong}
        assert answer(house, item, "correct", correction=right) == 422
    assert answer(house, item, "correct", correction={"category": "report"}) == 201
    (event,) = house.announced()
    assert (event.stage, event.item_id, event.verdict) == ("ingest", item, "correct")
    assert event.correction is not None
    assert event.correction["category"] == "report"
    house.rekind("doc_1", "report", "contract", attempt=2)
    house.read("doc_1", TEXT, kind="report", attempt=2)
    assert [one["id"] for one in waiting(house, state="decided")] == [item]
    assert answer(house, item, "undo") == 201
    house.rekind("doc_1", "contract", "report", attempt=3)
    house.read("doc_1", TEXT, attempt=3, unsure=0.6)
    assert [one["id"] for one in waiting(house)] == [item]


def test_results_that_can_not_be_understood_are_dead_letters(house: House) -> None:
    """A blob in another form is not queued by half."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW, {"id": "cl_2"}])
    assert waiting(house) == []
    (dead,) = house.service.bus.dead_letters("review")
    assert "doc_1" in dead.error


def test_tenants_do_not_see_each_other(house: House) -> None:
    """Another tenant's items, decisions and pages are not there at all."""
    house.read("doc_1", TEXT)
    house.extract("doc_1", [LAW])
    (item,) = waiting(house)
    eve = house.client("key-eve")
    assert eve.get("/v1/items", params={"state": "all"}).json()["items"] == []
    assert eve.get(f"/v1/items/{item['id']}").status_code == 404
    assert eve.post("/v1/items/claim", json={"item": item["id"]}).status_code == 404
    assert eve.post("/v1/items/claim", json={}).status_code == 204
    assert eve.get("/v1/items/pages", params={"document": "doc_1"}).status_code == 404
    assert eve.get("/v1/exports", params={"state": "all"}).text == ""
    assert eve.get("/v1/items/counts").json()["waiting"] == 0


def test_the_schema_goes_up_and_down(house: House) -> None:
    """The first revision can be undone and done again."""
    house.service.store.migrate("base")
    house.service.store.migrate()
    assert waiting(house) == []
