"""Clauses of the first pages of a long contract, while its others are still read."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import (
    CANCELLED,
    ClausesExtracted,
    DocumentBegun,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentRekinded,
)
from tests.unit.extraction_service.house import TERMS, House

FIRST = ("This Agreement is governed by the laws of Utah.", "The Buyer may inspect the books.")
TEXT = "\n\n".join(FIRST)
PATH = "/v1/documents/doc_1/clauses"


def begun(house: House, attempt: int = 1, adapters: tuple[str, ...] = ()) -> DocumentBegun:
    """What ingest says of the first pages; the third could not be read."""
    return DocumentBegun(
        document_id="doc_1",
        kind="contract",
        text=house.service.blobs.put("default", TEXT.encode()),
        pages=(2, 4),
        starts=(0, len(FIRST[0]) + 2),
        attempt=attempt,
        adapters=adapters,
    )


def early(house: House) -> Any:
    """What is answered to whoever asks for provisional clauses."""
    return house.client.get(PATH, params={"early": "true"})


def test_they_are_there_for_whoever_asks_for_them(house: House) -> None:
    """With their words and pages; nobody else sees them, and nothing is announced."""
    house.say(house.ingested("doc_1"), begun(house))
    answer = early(house).json()
    assert (answer["provisional"], answer["pages"], answer["next"]) == (True, 2, None)
    law, audit = answer["items"]
    assert (law["category"], law["page"], law["boxes"]) == ("Governing Law", 2, [])
    assert (audit["category"], audit["page"]) == ("Audit Rights", 4)
    for clause in (law, audit):
        assert clause["text"] == TEXT[clause["start"] : clause["end"]]
    assert house.client.get(PATH).status_code == 409
    assert house.client.get("/v1/documents/doc_1/presence").status_code == 409
    assert house.client_of("other").get(PATH, params={"early": "true"}).status_code == 404
    assert house.heard(ClausesExtracted) == []


def test_those_of_the_whole_document_take_their_place(house: House) -> None:
    """For whoever asks for early ones as well."""
    house.say(house.ingested("doc_1"), begun(house), house.read("doc_1"))
    whole = house.client.get(PATH).json()
    assert (whole["provisional"], whole["pages"], len(whole["items"])) == (False, None, 2)
    assert whole["items"][0]["boxes"]
    assert early(house).json() == whole


def test_the_specialists_that_were_named_look(house: House) -> None:
    """And each can be asked for."""
    house.say(house.ingested("doc_1"), begun(house, adapters=(TERMS,)))
    assert [one["adapter"] for one in early(house).json()["items"]] == [TERMS]
    wanted = {"early": "true", "adapter": "contract-clauses"}
    assert house.client.get(PATH, params=wanted).status_code == 409


@pytest.mark.parametrize("end", ["failed", "cancelled", "report", "rekinded", "deleted", "again"])
def test_they_go_with_whatever_comes_instead(house: House, end: str) -> None:
    """None of them is answered from then on."""
    failed = DocumentFailed(document_id="doc_1", stage="ingest", code="broken", reason="it broke")
    ends = {
        "failed": failed,
        "cancelled": failed.model_copy(update={"code": CANCELLED}),
        "report": house.read("doc_1", kind="report"),
        "rekinded": DocumentRekinded(
            document_id="doc_1", kind="report", previous="contract", attempt=2
        ),
        "deleted": DocumentDeleted(document_id="doc_1"),
        "again": house.ingested("doc_1", attempt=2),
    }
    house.say(house.ingested("doc_1"), begun(house), ends[end])
    assert early(house).status_code == (404 if end == "deleted" else 409)


@pytest.mark.parametrize("why", ["unknown", "another attempt", "read by now", "gone"])
def test_what_comes_late_does_nothing(house: House, why: str) -> None:
    """Nobody looks at first pages of what is known as a whole, or not at all."""
    first = begun(house, attempt=1)
    before: list[DocumentRead] = []
    if why == "gone":
        house.service.blobs.delete("default", first.text)
    if why == "read by now":
        before.append(house.read("doc_1"))
    if why != "unknown":
        house.say(house.ingested("doc_1", attempt=2 if why == "another attempt" else 1), *before)
    calls = house.specialists.specialist.calls
    house.say(first)
    assert house.specialists.specialist.calls == calls
    status = {"unknown": 404, "read by now": 200}.get(why, 409)
    answer = early(house)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["provisional"] is False


def test_more_text_than_is_searched_at_once_is_left_to_the_whole(house: House) -> None:
    """So twenty pages of a million words hold up nobody."""
    house.say(house.ingested("doc_1"))
    first = begun(house)
    large = first.text.model_copy(update={"size": 200_001})
    calls = house.specialists.specialist.calls
    house.say(first.model_copy(update={"text": large}))
    assert house.specialists.specialist.calls == calls
    assert early(house).status_code == 409
