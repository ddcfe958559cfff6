"""Reports go the whole road: uploaded at one end, findings at the other, on the SQLite bus."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services import cli
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from services.triage import bootstrap as triage
from services.triage.settings import Settings as TriageSettings
from shared.messaging import Relay
from shared.runtime import Service
from shared.settings import load
from tests.support import data_folder
from tests.support.queue import HandWorker
from tests.unit.documents.books import zipped
from tests.unit.documents.samples import FOLDER
from tests.unit.documents.test_xbrl import INSTANCE
from tests.unit.ingest.builders import InProcessReader
from tests.unit.triage.filings import bent, record
from tests.unit.triage.reading import samples


class Road:
    """Ingest and triage on one bus file and one blob folder; two databases, one origin's key."""

    def __init__(self, folder: Path) -> None:
        first = ingest.build(load(IngestSettings, data=folder), reader=InProcessReader())
        second = triage.build(load(TriageSettings, data=folder), keys=first.app.state.keys)
        self.services: list[Service] = [first, second]
        for service in self.services:
            service.store.migrate()
        secret = first.app.state.keys.create("default", "tester").secret
        headers = {"authorization": f"Bearer {secret}"}
        self.ingest, self.triage = (TestClient(s.app, headers=headers) for s in self.services)
        self.loops = [
            (
                Relay(s.store, s.bus),
                HandWorker(s.name, s.store, s.bus, s.handlers, s.settings),
            )
            for s in self.services
        ]

    def send(self, name: str, data: bytes, **fields: str) -> dict[str, Any]:
        answer: Any = self.ingest.post(
            "/v1/documents", files={"file": (name, data)}, data={"kind": "report", **fields}
        )
        assert answer.status_code == 202, answer.text
        while sum(relay.run_once() + worker.run_until_idle() for relay, worker in self.loops):
            pass
        state: dict[str, Any] = self.ingest.get(f"/v1/documents/{answer.json()['id']}").json()
        return state

    def findings(self, document: str) -> dict[str, Any]:
        answer: Any = self.triage.get(f"/v1/documents/{document}/findings")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road(tmp_path)
    yield road
    for service in road.services:
        service.close()


def test_a_filing_ends_complete_with_its_finding(road: Road) -> None:
    wrong = bent("cash_flow", "Dividends paid", 0, -459)
    state = road.send("filing.json", json.dumps(wrong).encode())
    assert (state["state"], state["outcome"]) == ("ended", "complete")
    (finding,) = road.findings(state["id"])["items"]
    assert (finding["check"], finding["label"]) == ("cash_flow_sums", "Dividends paid")


def test_a_file_with_a_torn_line_ends_with_the_other_filings(road: Road) -> None:
    lines = [json.dumps(record()), '{"torn', json.dumps({**record(), "id": "f2"})]
    state = road.send("filings.jsonl", "\n".join(lines).encode())
    assert state["outcome"] == "partial", state
    assert state["reasons"][0].startswith("unreadable_filings: 1 filing")
    body = road.findings(state["id"])
    assert body["filings"] == 2
    assert body["warnings"][0].startswith("line 2")


def test_a_text_without_statements_ends_failed_with_the_reason(road: Road) -> None:
    state = road.send("report.txt", b"Total assets are what they are.")
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    assert state["reasons"][0].startswith("unreadable_report: No financial statements found.")


@pytest.mark.parametrize("name", ["a.html", "a.xhtml", "a.pdf", "a.xlsx", "a.txt"])
def test_a_report_of_any_type_goes_the_whole_road(road: Road, name: str) -> None:
    makers = {
        "a.html": samples.html,
        "a.xhtml": samples.inline,
        "a.pdf": samples.pdf,
        "a.xlsx": samples.workbook,
        "a.txt": samples.plain,
    }
    state = road.send(name, makers[name](samples.bent()))
    assert state["outcome"] == "complete", state
    found = road.findings(state["id"])["items"]
    finding = next(item for item in found if item["check"] == "income_sums")
    text = road.ingest.get(f"/v1/documents/{state['id']}/text").text
    place = finding["cells"][0]["place"]
    assert text[place["start"] : place["end"]].replace(",", "") == "1590"


@pytest.mark.parametrize("name", ["balance.xlsx", "balance.xls", "balance.ods"])
def test_a_workbook_without_a_statement_ends_with_the_reason(road: Road, name: str) -> None:
    state = road.send(name, (FOLDER / "sheets" / name).read_bytes())
    assert (state["kind"], state["outcome"], state["pages"]) == ("report", "failed", 4)
    assert state["reasons"][0].startswith("unreadable_report: No financial statements found")
    text = road.ingest.get(f"/v1/documents/{state['id']}/text").text
    assert "Overdraft\t" in text


def test_an_instance_without_statements_says_so(road: Road) -> None:
    state = road.send("filing.xml", INSTANCE, kind="report")
    assert (state["state"], state["outcome"], state["pages"]) == ("ended", "failed", 1)
    assert state["reasons"][0].startswith("unreadable_report: ")
    text = road.ingest.get(f"/v1/documents/{state['id']}/text").text
    assert "Assets current\t(1,234,000)\tUSD\t2023-12-31\t" in text


def test_what_is_no_document_by_itself_is_refused_at_the_door(road: Road) -> None:
    linkbase = b'<x:linkbase xmlns:x="http://www.xbrl.org/2003/linkbase"/>'
    workbook = (FOLDER / "sheets" / "balance.xlsx").read_bytes()[:-500]
    binary = zipped({"[Content_Types].xml": "<Types/>", "xl/workbook.bin": "x"})
    refused = ((linkbase, 415, "taxonomy"), (workbook, 422, "cut off"), (binary, 415, "XLSB"))
    for data, status, says in refused:
        answer: Any = road.ingest.post("/v1/documents", files={"file": ("a.xml", data)})
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


@pytest.mark.parametrize("name", ["notes-1252.csv", "notes-utf16.tsv"])
def test_what_spreadsheets_save_as_csv_is_read_as_on_the_command_line(
    road: Road, name: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: Any
) -> None:
    path = FOLDER / "sheets" / name
    state = road.send(name, path.read_bytes())
    assert (state["state"], state["outcome"]) == ("ended", "failed")
    assert "no statement in this CSV" in state["reasons"][0]
    assert any("Windows-1252" in warning for warning in state["warnings"]) == ("1252" in name)
    monkeypatch.setattr(sys, "argv", ["smallprint", "text", str(path)])
    assert cli.main() == 0
    text = road.ingest.get(f"/v1/documents/{state['id']}/text").content
    assert text == capsysbinary.readouterr().out
    assert "Übertrag; 5 €" in text.decode()


def test_a_statement_with_semicolons_in_windows_1252_is_triaged(road: Road) -> None:
    lines = ["Café – Balance Sheet (in thousands);2023-12-31;2022-12-31"]
    lines += ["Total assets;1210;1100", "Total liabilities;700;650"]
    lines += ["Total stockholders' equity;501;450"]
    lines += ["Total liabilities and stockholders' equity;1201;1100"]
    state = road.send("café.csv", "\r\n".join(lines).encode("cp1252"))
    assert state["outcome"] == "complete", state
    body = road.findings(state["id"])
    assert body["flagged"]
    assert any("Windows-1252" in warning for warning in body["warnings"])


@pytest.mark.needs("real data")
def test_a_real_csv_statement_is_triaged(road: Road) -> None:
    path = next(iter(sorted((data_folder("finance") / "raw" / "csv").glob("*balance_sheet.csv"))))
    state = road.send(path.name, path.read_bytes())
    assert state["outcome"] == "complete", state
    answer: Any = road.triage.get(f"/v1/documents/{state['id']}/statements")
    (filing,) = answer.json()["items"]
    assert filing["statements"][0]["statement"] == "balance_sheet"
    assert len(filing["statements"][0]["rows"]) > 20
