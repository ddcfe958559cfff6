"""The typed client against triage over a real socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import smallprint

from tests.support import ROOT
from tests.support.served import served
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import bent, find_row, record
from tests.unit.triage.test_history import a_year_later
from tests.unit.triage.test_narrative import DOUBT, GERMAN, PAGE, WORDS

OWN = re.compile(r"/(doc_[^/]+)")
NAMED = re.compile(r"\{[a-z_]+\}")


@pytest.fixture
def triage(tmp_path: Path) -> Iterator[Triage]:
    with Triage(tmp_path) as triage:
        yield triage


@pytest.fixture
def client(triage: Triage) -> Iterator[smallprint.Client]:
    with served(triage.service.app) as url, smallprint.Client(url, "default") as client:
        yield client


def test_everything_that_triage_serves_has_a_method(
    triage: Triage, client: smallprint.Client
) -> None:
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Goodwill")
    part["rows"][row]["values"][1] = 2_161_000_000
    triage.handle(triage.read("doc_1", record(), name="2023.json"))
    triage.handle(triage.read("doc_2", later, name="2024.json"))
    asked: list[str] = []
    client._http.event_hooks["request"] = [lambda request: asked.append(request.url.path)]

    (filing,) = client.history("doc_2")
    assert [(one.document_id, one.filing) for one in filing.compared] == [("doc_1", "f1")]
    (line,) = filing.differences
    assert (line.label, line.reported, line.earlier) == ("Goodwill", 2_161_000_000, 2_116_000_000)
    assert (line.row, line.column, line.end) == (row, 1, "20231231")
    assert (line.suspect, line.cause, line.document_id) == (True, "transposed", "doc_1")
    assert next(client.history("doc_1")).compared == ()

    found = client.findings("doc_2")
    assert (found.flagged, found.filings) == (True, 1)
    assert found.items[0].how_to_verify
    assert client.signals("doc_1")
    assert client.narrative_flags("doc_1") == []
    assert [one.id for one in client.statements("doc_2")] == ["f2"]
    assert [one.name for one in client.reports()] == ["2024.json", "2023.json"]
    assert client.journal("doc_2", "triage")
    assert client.monitors(findings=True).notices == ()

    serves = json.loads((ROOT / "services" / "triage" / "openapi.json").read_text("utf-8"))
    served = {path for path in serves["paths"] if path.startswith("/v1/")}
    assert {OWN.sub("/{}", path) for path in asked} == {NAMED.sub("{}", path) for path in served}


def test_history_goes_on_at_the_cursor(triage: Triage, client: smallprint.Client) -> None:
    triage.handle(triage.read("doc_1", *({**record(), "id": f"f{n}"} for n in range(12))))
    assert [one.filing for one in client.history("doc_1")] == [f"f{n}" for n in range(12)]


def test_words_of_a_report_without_statements(triage: Triage, client: smallprint.Client) -> None:
    triage.handle(triage.page("doc_1", WORDS.format(DOUBT).encode(), "risks.html"))
    (flag,) = client.narrative_flags("doc_1")
    assert (flag.text, flag.level) == (DOUBT, "strong")
    for ask in (client.findings, client.statements, client.signals):
        with pytest.raises(smallprint.Conflict, match="its narrative flags are available"):
            ask("doc_1")


def test_unread_sentences_are_listed(triage: Triage, client: smallprint.Client) -> None:
    german = f"<meta charset='utf-8'>{PAGE.format(GERMAN * 20)}".encode()
    triage.handle(triage.page("doc_1", german, "report.html"))
    triage.handle(triage.page("doc_2", PAGE.format(DOUBT).encode(), "report.html"))
    flags = client.narrative_flags("doc_1")
    assert flags == []
    assert "does not seem to be English" in flags.warnings[0]
    flags = client.narrative_flags("doc_2")
    assert ([one.text for one in flags], flags.warnings) == ([DOUBT], ())


def test_an_error_is_the_client_s(triage: Triage, client: smallprint.Client) -> None:
    with pytest.raises(smallprint.NotFound):
        next(client.history("doc_9"))
    triage.handle(triage.read("doc_1", bent("balance_sheet", "Total current assets", 1, 4509)))
    (finding,) = client.findings("doc_1").items
    assert finding.cells[0].label == "Total current assets"
