"""A report beside earlier ones of its company in the store."""

from __future__ import annotations

from typing import Any, BinaryIO

import pytest

from services.triage import comparing
from services.triage.reading.document import MOST_COLUMNS
from services.triage.store import Reports
from shared.events import BlobRef, DocumentDeleted
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


@pytest.fixture
def opened(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of the blobs that are read from now on."""
    found: list[str] = []
    reads = house.service.blobs.open

    def noted(tenant: str, ref: BlobRef) -> BinaryIO:
        found.append(ref.sha256)
        return reads(tenant, ref)

    monkeypatch.setattr(house.service.blobs, "open", noted)
    return found


def test_a_request_reads_so_much_and_says_what_it_leaves_out(
    house: House, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each document once; a page ends where the document's own filings are as much."""
    house.say(house.read("doc_0", {**record(), "id": "f0"}), house.read("doc_1", record()))
    house.say(house.read("doc_2", *({**slipped(), "id": f"f{n}"} for n in range(3))))
    opened.clear()
    items = asked(house, "doc_2")
    assert [(len(one["compared"]), one["warnings"]) for one in items] == [(2, [])] * 3
    assert len(opened) == 3

    with house.service.store.read() as session:
        report = Reports(session, "default").get("doc_1")
    assert report
    assert report.statements
    monkeypatch.setattr(comparing, "MOST_READ", report.statements.size + 100)
    body = house.client.get(HISTORY.format("doc_2")).json()
    (first,) = body["items"]
    assert [one["document_id"] for one in first["compared"]] == ["doc_0"]
    (warning,) = first["warnings"]
    assert warning.startswith("not compared with doc_1: ")
    assert body["next"] == "0"
    rest = house.client.get(HISTORY.format("doc_2"), params={"cursor": "0"}).json()
    assert (len(rest["items"]), rest["next"]) == (1, "1")


def test_so_many_differences_are_listed_the_doubted_ones_among_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the others counted."""
    later = slipped()
    part, _ = find_row(later, "cash_flow", "Change in receivables")
    for line in part["rows"]:
        line["values"][1] += 7_000_000
    house.say(house.read("doc_1", record()), house.read("doc_2", later))
    (every,) = asked(house, "doc_2")
    assert every["warnings"] == []
    monkeypatch.setattr(comparing, "MOST_DIFFERENCES", 2)
    (some,) = asked(house, "doc_2")
    doubted = [one for one in every["differences"] if one["doubted"]]
    assert doubted
    assert [one for one in some["differences"] if one["doubted"]] == doubted[:2]
    assert len(some["differences"]) == 2
    assert some["warnings"] == [f"{len(every['differences'])} lines differ, of which 2 are listed"]


def test_so_many_columns_are_compared(house: House) -> None:
    """As many as are checked; a warning says so."""
    later = slipped()
    (part, _), more = find_row(later, "balance_sheet", "Goodwill"), MOST_COLUMNS
    part["columns"] = [*[{"end": None}] * more, *part["columns"]]
    for line in part["rows"]:
        line["values"] = [*[None] * more, *line["values"]]
    house.say(house.read("doc_1", record()), house.read("doc_2", later))
    (found,) = asked(house, "doc_2")
    assert {one["statement"] for one in found["differences"]} == {"cash_flow"}
    (warning,) = found["warnings"]
    assert "of which the first 100 are checked" in warning


def test_nothing_compared_is_said(house: House) -> None:
    """An earlier report with a few lines of a period in common is named, and the reason."""
    first, later = record(), a_year_later()
    for statement in first["statements"]:
        statement["rows"] = statement["rows"][:3]
    house.say(house.read("doc_1", first))
    house.say(house.read("doc_2", later))
    (held,) = asked(house, "doc_2")
    assert [one["document_id"] for one in held["compared"]] == ["doc_1"]
    (why,) = held["warnings"]
    assert "nothing was compared" in why
    assert "8 are needed" in why
