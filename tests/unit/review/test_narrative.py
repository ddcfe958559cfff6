"""Strong narrative flags wait in the queue as items of their own kind."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text

from services.review.api import DecisionOut, ItemOut
from shared.events import FindingsFound
from tests.unit.review.house import House
from tests.unit.review.test_handlers import decide, waiting

FLAG: dict[str, Any] = {
    "id": "nf_1",
    "family": "going_concern",
    "title": "Doubt about going on",
    "text": "These factors raise substantial doubt about our ability to go on.",
    "start": 4,
    "end": 69,
    "page": 3,
    "boxes": [{"page": 3, "x0": 72.0, "y0": 72.0, "x1": 100.0, "y1": 83.0}],
    "confidence": 0.97,
    "level": "strong",
    "filer": "our",
}


def tell(house: House, *flags: dict[str, Any], attempt: int = 1) -> None:
    """Triage found nothing wrong, and a sentence."""
    blobs = house.blobs
    kept = [blobs.put("default", json.dumps(one).encode()) for one in ([], list(flags))]
    house.hear(
        FindingsFound(
            document_id="doc_1",
            name="10-k.pdf",
            findings=kept[0],
            narrative=kept[1],
            count=0,
            flagged=False,
            risk=0.1,
            attempt=attempt,
        )
    )


def test_a_strong_flag_is_an_item_of_its_own_kind(house: House) -> None:
    """With the sentence and its place; clients of before see a finding."""
    tell(house, FLAG)
    (item,) = waiting(house)
    assert (item["kind"], item["about"], item["category"]) == ("finding", "flag", "going_concern")
    assert (item["text"], item["page"], item["start"], item["end"]) == (FLAG["text"], 3, 4, 69)
    assert item["boxes"] == FLAG["boxes"]
    assert item["finding"]["title"] == FLAG["title"]
    assert waiting(house, kind="flag") == [item]
    assert waiting(house, kind="finding") == waiting(house, kind="signal") == []


def test_a_flag_that_was_decided_is_not_asked_again(house: House) -> None:
    """And it can't be corrected."""
    tell(house, FLAG)
    (item,) = waiting(house)
    client = house.client()
    client.post("/v1/items/claim", json={"item": item["id"]})
    refused = client.post("/v1/decisions", json={"item": item["id"], "verdict": "correct"})
    assert refused.status_code == 422
    assert "a sentence can't be corrected" in refused.json()["detail"]
    decide(house, item, "reject")
    tell(house, FLAG, attempt=2)
    assert waiting(house) == []


def test_an_export_names_the_flag(house: House) -> None:
    """As a kind of its own; what calls it a finding says so."""
    for shown in (DecisionOut, ItemOut):
        said = shown.model_json_schema()["properties"]["kind"]["description"]
        assert "of sentences (a family of narrative flags); exports" in said
    tell(house, FLAG)
    lines = house.client().get("/v1/exports", params={"state": "all", "kind": "flag"}).text
    row = json.loads(lines)
    assert (row["kind"], row["category"]) == ("flag", "going_concern")


def test_the_way_back_leaves_no_item_that_an_older_program_cannot_list(house: House) -> None:
    """Nobody is asked about the sentence; that it was decided stays, as of a signal."""
    tell(house, FLAG, {**FLAG, "id": "nf_2", "family": "material_weakness"})
    decide(house, waiting(house, kind="flag")[0], "reject")
    store = house.service.store
    store.migrate("0010")
    store.migrate()
    assert waiting(house) == []
    with store.read() as session:
        assert session.execute(text("SELECT count(*) FROM items")).scalar() == 0
        kinds = session.execute(text("SELECT kind FROM decisions")).scalars().all()
    assert kinds == ["signal"]
