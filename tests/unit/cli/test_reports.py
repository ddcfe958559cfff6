"""`smallprint reports` lists by risk, and `smallprint triage` gives signals."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import smallprint
from click.testing import CliRunner

from services.cli import cli
from shared.cli import tables
from tests.unit.triage.filings import bent, record


def report(number: int, risk: float) -> dict[str, Any]:
    """A line of the list."""
    return {
        "document_id": f"doc_{number}",
        "name": f"10-k \x1b[31m{number}.pdf",
        "risk": risk,
        "flagged": risk > 0.5,
        "filings": 1,
        "findings": number,
        "warnings": 0,
        "model": {"name": "triage-breaks", "version": "1.0.0"},
        "updated": "2026-03-01T12:00:00+00:00",
        "narrative_flags": 0,
        "dismissed": 0,
        "decided": 0,
    }


class Suite:
    """Remembers what it was asked, and lists two reports on two pages."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/reports"
        params = dict(request.url.params)
        self.asked.append(params)
        if params.get("least") == "0.99":
            return httpx.Response(200, json={"items": [], "next": None})
        last = "cursor" in params
        items = [report(2, 0.1)] if last else [report(1, 0.9)]
        return httpx.Response(200, json={"items": items, "next": None if last else "0.9~doc_1"})


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    """The network is a function."""
    suite = Suite()
    client = partial(smallprint.Client, transport=httpx.MockTransport(suite), retries=0)
    monkeypatch.setattr(smallprint, "Client", client)
    monkeypatch.setenv("SMALLPRINT_KEY", "sp_key")
    return suite


def run(*arguments: str) -> Any:
    """The command, as it is run."""
    return CliRunner().invoke(cli, list(arguments), standalone_mode=False)


def test_each_report_is_a_json_line_as_the_suite_answers(suite: Suite) -> None:
    """All pages of the list, in its order, with the filters that were given."""
    done = run("reports", "--json", "--flagged", "--least", "0.05")
    assert done.return_value == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [report(1, 0.9), report(2, 0.1)]
    assert suite.asked[0] == {"flagged": "true", "least": "0.05", "order": "-risk"}


@pytest.mark.parametrize(
    ("became", "said"),
    [
        ({"findings": 2, "decided": 2}, "2 findings  a  (doc_1)  [all decided]"),
        ({"findings": 2, "decided": 1}, "2 findings  a  (doc_1)  [1 decided]"),
        ({"findings": 0, "dismissed": 1}, "0 findings  a  (doc_1)  [1 folded away]"),
        ({"findings": 1, "decided": 1, "dismissed": 2},
         " 1 finding  a  (doc_1)  [all decided, 2 folded away]"),
    ],
)  # fmt: skip
def test_a_line_says_what_became_of_findings(became: dict[str, int], said: str) -> None:
    """So that nobody opens a report that people are done with."""
    one = smallprint.Report.of({**report(1, 0.9), "name": "a", **became})
    (line,) = tables.reports([one])
    assert line.endswith(said)


def test_for_a_person_it_is_a_table_by_risk(suite: Suite) -> None:
    """Risk first, and nothing of a name steers the terminal."""
    done = run("reports", "--most", "1")
    assert done.stdout == "0.90  flagged    1 finding  10-k \ufffd[31m1.pdf  (doc_1)\n"
    assert "there are more: --most 10" in done.stderr
    assert "no legal or audit advice" in done.stderr
    assert "flagged" not in suite.asked[0]


def test_no_report_is_said(suite: Suite) -> None:
    """On standard error, for nothing is an answer too."""
    done = run("reports", "--least", "0.99", "--json")
    assert (done.return_value, done.stdout, done.stderr) == (0, "", "no report fits\n")


def test_triage_gives_signals_beside_findings(tmp_path: Path) -> None:
    """With formula, source and cells; for a person only what is unusual."""
    odd = {**bent("income", "Net sales", 1, 12), "id": "odd"}
    path = tmp_path / "filings.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (record(), odd)))
    done = run("triage", str(path), "--json")
    sound, strange = map(json.loads, done.stdout.splitlines())
    assert sound["signals"]
    assert all(one["level"] != "strong" for one in sound["signals"])
    (growth,) = [one for one in strange["signals"] if one["signal"] == "sales_growth"]
    assert (growth["level"], growth["inputs"][0]["label"]) == ("strong", "Net sales")
    assert growth["formula"]
    assert growth["source"]
    text = " ".join(run("triage", str(path)).stdout.split())
    assert "~ strong: Growth of sales" in text
    assert "~ usual" not in text


def test_the_doctor_looks_at_what_signals_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good as it is shipped, wrong if it is damaged, good to know if it isn't there."""

    def found() -> dict[str, Any]:
        out = run("doctor", "--data", str(tmp_path / "data"), "--json").stdout
        return next(c for c in json.loads(out)["checks"] if c["name"] == "signals")

    assert found()["state"] == "good"
    (tmp_path / "artefacts" / "triage-peers" / "1.0.0").mkdir(parents=True)
    (tmp_path / "artefacts" / "triage-peers" / "1.0.0" / "peers.json").write_text("{}")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "artefacts"))
    assert found()["state"] == "wrong"
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "nothing"))
    assert found()["state"] == "note"
