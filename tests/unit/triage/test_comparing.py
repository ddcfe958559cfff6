"""A report beside earlier ones of its company in the store."""

from __future__ import annotations

from typing import Any

from shared.events import DocumentDeleted
from tests.unit.triage.filings import find_row, record
from tests.unit.triage.house import House
from tests.unit.triage.test_history import a_year_later

HISTORY = "/v1/documents/{}/history"


def slipped() -> dict[str, Any]:
    """The next filing, with a slip in the year before and a line of it restated in another one."""
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = 2_791_000_000
    flow, line = find_row(later, "cash_flow", "Change in receivables")
    flow["rows"][line]["values"][2] = -1_000_000
    return later


def asked(house: House, document: str) -> list[dict[str, Any]]:
    """What is answered."""
    answer = house.client.get(HISTORY.format(document))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_report_is_held_against_the_earlier_ones_of_its_company(any_house: House) -> None:
    """What differs is named with where it was otherwise; risk and flag stay."""
    house = any_house
    house.say(house.read("doc_2", slipped()))
    (alone,) = asked(house, "doc_2")
    assert (alone["compared"], alone["differences"]) == ([], [])
    before = house.client.get("/v1/documents/doc_2/findings").json()

    house.say(house.read("doc_1", record(), {**record(), "company": "Another Corp"}))
    (found,) = asked(house, "doc_2")
    assert found["compared"] == [{"document_id": "doc_1", "filing": "f1"}]
    slip, other = found["differences"]
    assert (slip["label"], slip["end"]) == ("Accounts receivable, net", "20231231")
    assert (slip["reported"], slip["earlier"]) == (2_791_000_000, 2_719_000_000)
    assert (slip["doubted"], slip["cause"], slip["document_id"]) == (True, "transposed", "doc_1")
    assert (other["label"], other["doubted"], other["cause"]) == (
        "Change in receivables",
        False,
        None,
    )
    assert house.client.get("/v1/documents/doc_2/findings").json() == before
    assert all(item["compared"] == [] for item in asked(house, "doc_1"))

    house.say(DocumentDeleted(document_id="doc_1"))
    assert asked(house, "doc_2")[0]["compared"] == []


def test_others_of_another_tenant_are_not_there(house: House) -> None:
    """Nor is the document."""
    house.say(house.read("doc_1", record(), tenant="rivals"), house.read("doc_2", slipped()))
    assert asked(house, "doc_2")[0]["compared"] == []
    assert house.client_of("rivals").get(HISTORY.format("doc_2")).status_code == 404


def test_filings_are_answered_page_by_page(house: House) -> None:
    """In the order of the document."""
    house.say(house.read("doc_1", *({**record(), "id": f"f{n}"} for n in range(3))))
    first = house.client.get(HISTORY.format("doc_1"), params={"limit": 2}).json()
    rest = house.client.get(
        HISTORY.format("doc_1"), params={"limit": 2, "cursor": first["next"]}
    ).json()
    assert [one["filing"] for one in (*first["items"], *rest["items"])] == ["f0", "f1", "f2"]
    assert rest["next"] is None
