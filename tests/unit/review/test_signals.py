"""Strong signals wait in the queue as items of their own kind."""

from __future__ import annotations

import json
from typing import Any

from shared.events import FindingsFound
from tests.unit.review.house import House
from tests.unit.review.test_handlers import decide, waiting

PLACE = {"page": 3, "box": [72.0, 72.0, 100.0, 83.0]}
SIGNAL: dict[str, Any] = {
    "id": "sg_1",
    "filing": "f1",
    "signal": "sales_growth",
    "title": "Growth of sales",
    "level": "strong",
    "distance": 9.5,
    "value": 12.5,
    "unit": "share",
    "end": "20231231",
    "quarters": 4,
    "message": "Growth of sales 1,250.0% (year to 2023-12-31).",
    "formula": "sales / sales a year before - 1",
    "source": "somebody (1999)",
    "inputs": [
        {"figure": "revenue", "value": 27, "statement": "income", "row": 4, "column": 0,
         "label": "Net sales", "place": PLACE},
        {"figure": "revenue", "value": 2, "statement": "income", "row": 4, "column": 1,
         "label": "Net sales", "place": None},
    ],
    "history": [{"end": "20221231", "value": 0.1}],
    "peers": {"companies": 300, "low": -0.4, "median": 0.0, "high": 0.5, "distance": 9.5},
    "change": None,
    "page": 3,
    "boxes": [{"page": 3, "x0": 72.0, "y0": 72.0, "x1": 100.0, "y1": 83.0}],
}  # fmt: skip


def tell(house: House, *signals: dict[str, Any], attempt: int = 1) -> None:
    """Triage found nothing wrong, and something unusual."""
    blobs = house.blobs
    kept = [blobs.put("default", json.dumps(one).encode()) for one in ([], list(signals))]
    house.hear(
        FindingsFound(
            document_id="doc_1",
            name="10-k.pdf",
            findings=kept[0],
            signals=kept[1],
            count=0,
            flagged=False,
            risk=0.1,
            attempt=attempt,
        )
    )


def test_a_strong_signal_is_an_item_of_its_own_kind(house: House) -> None:
    """Clients of before see a finding; who asks for signals, or for findings, gets those alone."""
    tell(house, SIGNAL)
    (item,) = waiting(house)
    assert (item["kind"], item["about"], item["category"]) == ("finding", "signal", "sales_growth")
    assert waiting(house, kind="signal") == [item]
    assert waiting(house, kind="finding") == waiting(house, kind="clause") == []
    finding = item["finding"]
    assert (finding["statement"], finding["row"], finding["column"]) == ("income", 4, 0)
    assert finding["cells"][0]["place"]["page"] == item["page"] == 3
    assert (finding["formula"], finding["source"]) == (SIGNAL["formula"], SIGNAL["source"])
    groups = house.client().get("/v1/items/counts").json()["kinds"]
    assert groups == [{"key": "signal", "label": "signal", "count": 1}]


def test_a_signal_that_was_decided_is_not_asked_again(house: House) -> None:
    """Unless another number comes of it; and it can't be corrected."""
    tell(house, SIGNAL)
    (item,) = waiting(house)
    client = house.client()
    client.post("/v1/items/claim", json={"item": item["id"]})
    refused = client.post("/v1/decisions", json={"item": item["id"], "verdict": "correct"})
    assert refused.status_code == 422
    assert "a signal can't be corrected" in refused.json()["detail"]
    decide(house, item, "reject")
    decision = client.get("/v1/decisions").json()["items"][0]
    assert (decision["kind"], decision["verdict"]) == ("finding", "reject")
    tell(house, SIGNAL, attempt=2)
    assert waiting(house) == []
    tell(house, {**SIGNAL, "message": "Growth of sales 900.0%."}, attempt=3)
    assert len(waiting(house)) == 1


def test_an_export_names_the_signal(house: House) -> None:
    """As a kind of its own."""
    tell(house, SIGNAL)
    lines = house.client().get("/v1/exports", params={"state": "all", "kind": "signal"}).text
    row = json.loads(lines)
    assert (row["kind"], row["category"]) == ("signal", "sales_growth")
