"""Provisional clauses of the first pages of a long contract."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentReclassified,
    FirstPagesRead,
)
from tests.unit.extraction.builders import TERMS, ExtractionService

FIRST = ("This Agreement is governed by the laws of Utah.", "The Buyer may inspect the books.")
TEXT = "\n\n".join(FIRST)


def begun(
    extraction: ExtractionService, attempt: int = 1, adapters: tuple[str, ...] = ()
) -> FirstPagesRead:
    return FirstPagesRead(
        document_id="doc_1",
        kind="contract",
        text=extraction.service.blobs.put("default", TEXT.encode()),
        pages=(2, 4),
        starts=(0, len(FIRST[0]) + 2),
        attempt=attempt,
        adapters=adapters,
    )


def early(extraction: ExtractionService) -> Any:
    return extraction.get(provisional="true")


def test_provisional_clauses_are_listed_on_request(extraction: ExtractionService) -> None:
    extraction.handle(extraction.ingested("doc_1"), begun(extraction))
    answer = early(extraction).json()
    assert (answer["provisional"], answer["pages"], answer["next"]) == (True, 2, None)
    law, audit = answer["items"]
    assert (law["category"], law["page"], law["boxes"]) == ("Governing Law", 2, [])
    assert (audit["category"], audit["page"]) == ("Audit Rights", 4)
    for clause in (law, audit):
        assert clause["text"] == TEXT[clause["start"] : clause["end"]]
    assert extraction.get().status_code == 409
    assert extraction.get("presence").status_code == 409
    other = extraction.client_of("other")
    assert other.get("/v1/documents/doc_1/clauses?provisional=true").status_code == 404
    assert extraction.announced(ClausesExtracted) == []


def test_the_whole_document_replaces_the_first_pages(extraction: ExtractionService) -> None:
    extraction.handle(extraction.ingested("doc_1"), begun(extraction), extraction.read("doc_1"))
    whole = extraction.get().json()
    assert (whole["provisional"], whole["pages"], len(whole["items"])) == (False, None, 2)
    assert whole["items"][0]["boxes"]
    assert early(extraction).json() == whole


def test_the_named_specialists_are_used(extraction: ExtractionService) -> None:
    extraction.handle(extraction.ingested("doc_1"), begun(extraction, adapters=(TERMS,)))
    assert [one["adapter"] for one in early(extraction).json()["items"]] == [TERMS]
    assert extraction.get(provisional="true", adapter="contract-clauses").status_code == 409


@pytest.mark.parametrize("end", ["failed", "cancelled", "report", "rekinded", "deleted", "again"])
def test_provisional_clauses_go_when_processing_ends(
    extraction: ExtractionService, end: str
) -> None:
    failed = DocumentFailed(document_id="doc_1", stage="ingest", code="broken", reason="it broke")
    ends = {
        "failed": failed,
        "cancelled": failed.model_copy(update={"code": CANCELLED}),
        "report": extraction.read("doc_1", kind="report"),
        "rekinded": DocumentReclassified(
            document_id="doc_1", kind="report", previous="contract", attempt=2
        ),
        "deleted": DocumentDeleted(document_id="doc_1"),
        "again": extraction.ingested("doc_1", attempt=2),
    }
    extraction.handle(extraction.ingested("doc_1"), begun(extraction), ends[end])
    assert early(extraction).status_code == (404 if end == "deleted" else 409)


@pytest.mark.parametrize("why", ["unknown", "another attempt", "read by now", "gone"])
def test_a_late_first_part_changes_nothing(extraction: ExtractionService, why: str) -> None:
    first = begun(extraction, attempt=1)
    before: list[DocumentRead] = []
    if why == "gone":
        extraction.service.blobs.delete("default", first.text)
    if why == "read by now":
        before.append(extraction.read("doc_1"))
    if why != "unknown":
        extraction.handle(
            extraction.ingested("doc_1", attempt=2 if why == "another attempt" else 1), *before
        )
    calls = extraction.specialists.specialist.calls
    extraction.handle(first)
    assert extraction.specialists.specialist.calls == calls
    status = {"unknown": 404, "read by now": 200}.get(why, 409)
    answer = early(extraction)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["provisional"] is False


def test_more_text_than_is_searched_at_once_is_left_to_the_whole(
    extraction: ExtractionService,
) -> None:
    extraction.handle(extraction.ingested("doc_1"))
    first = begun(extraction)
    large = first.text.model_copy(update={"size": 200_001})
    calls = extraction.specialists.specialist.calls
    extraction.handle(first.model_copy(update={"text": large}))
    assert extraction.specialists.specialist.calls == calls
    assert early(extraction).status_code == 409
