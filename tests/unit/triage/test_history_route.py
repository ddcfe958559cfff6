"""A report beside earlier ones of its company in the store."""

from __future__ import annotations

from typing import Any, BinaryIO

import pytest

from services.triage.api import history
from services.triage.reading.document import MOST_COLUMNS
from services.triage.store import Reports
from shared.events import BlobRef, DocumentDeleted
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import find_row, record
from tests.unit.triage.test_history import a_year_later


def slipped() -> dict[str, Any]:
    """The next filing, with a slip in the year before and a line of it restated in another one."""
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = 2_791_000_000
    flow, line = find_row(later, "cash_flow", "Change in receivables")
    flow["rows"][line]["values"][2] = -1_000_000
    return later


def asked(triage: Triage, document: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = triage.answer(document, "history")["items"]
    return items


def test_a_report_is_held_against_the_earlier_ones_of_its_company(any_triage: Triage) -> None:
    triage = any_triage
    triage.handle(triage.read("doc_2", slipped()))
    (alone,) = asked(triage, "doc_2")
    assert (alone["compared"], alone["differences"]) == ([], [])
    before = triage.findings("doc_2")

    triage.handle(triage.read("doc_1", record(), {**record(), "company": "Another Corp"}))
    (found,) = asked(triage, "doc_2")
    (earlier,) = found["compared"]
    named = (earlier["document_id"], earlier["filing"], earlier["end"], earlier["flagged"])
    assert named == ("doc_1", "f1", "20231231", False)
    assert 0 <= earlier["risk"] <= 1
    slip, other = found["differences"]
    assert (slip["label"], slip["end"]) == ("Accounts receivable, net", "20231231")
    assert (slip["reported"], slip["earlier"]) == (2_791_000_000, 2_719_000_000)
    assert (slip["suspect"], slip["cause"], slip["document_id"]) == (True, "transposed", "doc_1")
    assert other["label"] == "Change in receivables"
    assert (other["suspect"], other["cause"]) == (False, None)
    assert triage.findings("doc_2") == before
    assert all(item["compared"] == [] for item in asked(triage, "doc_1"))

    triage.handle(DocumentDeleted(document_id="doc_1"))
    assert asked(triage, "doc_2")[0]["compared"] == []


def test_others_of_another_tenant_are_not_there(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", record(), tenant="rivals"), triage.read("doc_2", slipped()))
    assert asked(triage, "doc_2")[0]["compared"] == []
    assert triage.client_of("rivals").get("/v1/documents/doc_2/history").status_code == 404


def test_filings_are_answered_page_by_page(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", *({**record(), "id": f"f{n}"} for n in range(3))))
    first = triage.answer("doc_1", "history", limit=2)
    rest = triage.answer("doc_1", "history", limit=2, cursor=first["next"])
    assert [one["filing"] for one in (*first["items"], *rest["items"])] == ["f0", "f1", "f2"]
    assert rest["next"] is None


@pytest.fixture
def opened(triage: Triage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    reads = triage.service.blobs.open

    def noted(tenant: str, ref: BlobRef) -> BinaryIO:
        found.append(ref.sha256)
        return reads(tenant, ref)

    monkeypatch.setattr(triage.service.blobs, "open", noted)
    return found


def test_a_request_reads_so_much_and_says_what_it_leaves_out(
    triage: Triage, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    triage.handle(triage.read("doc_0", {**record(), "id": "f0"}), triage.read("doc_1", record()))
    triage.handle(triage.read("doc_2", *({**slipped(), "id": f"f{n}"} for n in range(3))))
    opened.clear()
    items = asked(triage, "doc_2")
    assert [(len(one["compared"]), one["warnings"]) for one in items] == [(2, [])] * 3
    assert len(opened) == 3

    with triage.service.store.read() as session:
        report = Reports(session, "default").get("doc_1")
    assert report
    assert report.statements
    monkeypatch.setattr(history, "MOST_READ", report.statements.size + 100)
    body = triage.answer("doc_2", "history")
    (first,) = body["items"]
    assert [one["document_id"] for one in first["compared"]] == ["doc_0"]
    (warning,) = first["warnings"]
    assert warning.startswith("not compared with doc_1: ")
    assert body["next"] == "0"
    rest = triage.answer("doc_2", "history", cursor="0")
    assert (len(rest["items"]), rest["next"]) == (1, "1")


def test_a_limited_number_of_differences_is_listed_suspect_ones_first(
    triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = slipped()
    part, _ = find_row(later, "cash_flow", "Change in receivables")
    for line in part["rows"]:
        line["values"][1] += 7_000_000
    triage.handle(triage.read("doc_1", record()), triage.read("doc_2", later))
    (every,) = asked(triage, "doc_2")
    assert every["warnings"] == []
    monkeypatch.setattr(history, "MOST_DIFFERENCES", 2)
    (some,) = asked(triage, "doc_2")
    suspect = [one for one in every["differences"] if one["suspect"]]
    assert suspect
    assert [one for one in some["differences"] if one["suspect"]] == suspect[:2]
    assert len(some["differences"]) == 2
    assert some["warnings"] == [f"{len(every['differences'])} lines differ; only 2 are listed"]


def test_so_many_columns_are_compared(triage: Triage) -> None:
    later = slipped()
    (part, _), more = find_row(later, "balance_sheet", "Goodwill"), MOST_COLUMNS
    part["columns"] = [*[{"end": None}] * more, *part["columns"]]
    for line in part["rows"]:
        line["values"] = [*[None] * more, *line["values"]]
    triage.handle(triage.read("doc_1", record()), triage.read("doc_2", later))
    (found,) = asked(triage, "doc_2")
    assert {one["statement"] for one in found["differences"]} == {"cash_flow"}
    (warning,) = found["warnings"]
    assert "only the first 100 of" in warning


def test_a_failed_comparison_is_reported(triage: Triage) -> None:
    first, later = record(), a_year_later()
    for statement in first["statements"]:
        statement["rows"] = statement["rows"][:3]
    triage.handle(triage.read("doc_1", first))
    triage.handle(triage.read("doc_2", later))
    (held,) = asked(triage, "doc_2")
    assert [one["document_id"] for one in held["compared"]] == ["doc_1"]
    (why,) = held["warnings"]
    assert "nothing was compared" in why
    assert "8 are needed" in why
