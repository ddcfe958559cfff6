"""`smallprint costs`: the ledger of a running suite, and letting a stopped provider go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import smallprint
from click.testing import CliRunner, Result

from services.cli import cli
from services.escalation.costs import Reading, Readings
from services.escalation.ledger import Caps, Ledger
from services.escalation.providers import Usage
from services.escalation.store import MIGRATIONS
from shared.cli.tables import FEW, LOADED
from shared.errors import SuiteError
from shared.storage import Store
from tests.contract.ledger.calls import call

SPEND = {
    "calls": 3,
    "usd": 1.5,
    "uncertain_usd": 0.25,
    "reserved_usd": 0.0,
    "tokens_in": 12_000,
    "tokens_out": 90,
    "documents": 4,
    "seconds": 8.0,
    "tokens_read": 40_000,
    "tokens_quoted": 3_000,
    "machine_usd": 0.000222,
    "frontier_usd": 0.275,
}
COSTS: dict[str, Any] = {
    "calls": 3,
    "usd": 1.5,
    "items": [{"provider": "claude", **SPEND}],
    "groups": [{"key": "2026-01-31", **SPEND}],
    "budgets": [
        {"period": "2026-01-31", "usd": 1.5, "most_usd": 5},
        {"period": "2026-01", "usd": 1.5, "most_usd": 50},
    ],
    "stopped": [
        {"provider": "claude", "since": "2026-01-31T12:00:00Z", "reason": "it\x1b[31m billed"}
    ],
    "specialists": {
        "documents": 4,
        "seconds": 8.0,
        "tokens_read": 40_000,
        "tokens_quoted": 3_000,
        "hour_usd": 0.1,
        "usd": 0.000222,
        "tokens_per_second": 5_000.0,
        "usd_per_million": 0.005556,
        "kinds": [
            {
                "kind": "contract",
                "documents": 3,
                "seconds": 7.5,
                "tokens_read": 10_000,
                "tokens_quoted": 2_900,
                "usd": 0.000208,
                "tokens_per_second": 1_333.3,
                "usd_per_million": 0.020833,
            },
            {
                "kind": "report",
                "documents": 1,
                "seconds": 0.5,
                "tokens_read": 30_000,
                "tokens_quoted": 100,
                "usd": 0.000014,
                "tokens_per_second": 60_000.0,
                "usd_per_million": 0.000463,
            },
        ],
    },
    "frontier": {
        "model": "claude-opus-5",
        "input_usd": 5.0,
        "output_usd": 25.0,
        "as_of": "2026-07-31",
        "read_usd": 0.2,
        "quoted_usd": 0.075,
        "usd": 0.275,
    },
    "training": [
        {
            "adapter": "contract-clauses",
            "version": "1.2.0",
            "documents": 4,
            "hours": 4.2,
            "machine": "two processor cores",
            "hour_usd": 3.0,
            "usd": 12.6,
            "paid_each_usd": 0.01,
            "saved_each_usd": 0.07,
            "after_documents": 181,
        },
        {
            "adapter": "mine",
            "version": "1.0.0",
            "documents": 1,
            "hours": None,
            "machine": None,
            "hour_usd": 3.0,
            "usd": None,
            "paid_each_usd": 0.01,
            "saved_each_usd": 0.07,
            "after_documents": None,
        },
    ],
    "quoted": {
        "as_of": "2026-11-26",
        "frontier_million": 25.0,
        "small_million": [0.02, 0.1],
        "tokens_a_day": 10_000_000,
        "frontier_day": 250.0,
        "small_day": [1.0, 10.0],
    },
    "next": None,
}
ASKED: list[str] = []
DOCUMENT: dict[str, Any] = {
    **dict.fromkeys(("sha256", "kind_source", "actor", "media_type"), ""),
    "id": "2026-01-31",
    "name": "lease\x1b.pdf",
    "kind": "contract",
    "state": "ended",
    "outcome": "failed",
    "size": 1,
    "pages": None,
    "attempt": 1,
    **dict.fromkeys(("created", "updated", "ended"), "2026-01-31T12:00:00Z"),
}


@pytest.fixture(autouse=True)
def _suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that has spent something."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/documents":
            return httpx.Response(200, json={"items": [DOCUMENT], "next": None})
        ASKED.append(str(request.url.params["by"]))
        return httpx.Response(200, json=COSTS)

    real = smallprint.Client

    def client(url: str, key: str) -> smallprint.Client:
        return real(url, key, transport=httpx.MockTransport(answer))

    ASKED.clear()
    monkeypatch.setattr(smallprint, "Client", client)


def run(*arguments: str) -> Result:
    """The command."""
    return CliRunner().invoke(cli, ["costs", *arguments], standalone_mode=False)


def test_costs_are_a_table_with_budgets_and_stops() -> None:
    """Sums by day, what is left of the budgets, and who is stopped; no control characters."""
    shown = run("--key", "sp_key").stdout
    assert "3 calls, US$ 1.500000" in shown
    assert "2026-01-31" in shown
    assert "12,000" in shown
    assert "2026-01: US$ 1.500000 of at most 50.00" in shown
    assert "! claude is stopped: it" in shown
    assert "\x1b" not in shown
    assert "4 documents, 40,000 tokens read and 3,000 quoted in 8.0 s: US$ 0.000222" in shown
    assert "  3 contracts: 10,000 tokens in 7.5 s, 1,333 a second, US$ 0.020833 a million" in shown
    assert "  1 report: 30,000 tokens in 0.5 s, 60,000 a second, US$ 0.000463 a million" in shown
    assert "claude-opus-5 would have cost at least US$ 0.275000" in shown
    assert "4.20 hours on two processor cores at US$ 3.00 are 12.60, paid after 181 docum" in shown
    assert "ents (4 so far, US$ 0.070000 saved with each" in shown
    assert "training of mine 1.0.0: its hours are not known" in shown
    assert "as quoted on 2026-11-26, not measured here: US$ 25 for a million tokens out" in shown
    assert ASKED == ["day"]


def test_of_few_reports_it_is_said_that_loading_is_in_their_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of contracts it is not, and among many reports it shows no more."""
    contract, report = (row for row in run("--key", "sp_key").stdout.splitlines() if "sec" in row)
    assert "3 contracts" in contract
    assert "loaded" not in contract
    assert report.endswith(LOADED)
    many = [{**one, "documents": FEW} for one in COSTS["specialists"]["kinds"]]
    monkeypatch.setitem(COSTS["specialists"], "kinds", many)
    assert "loaded" not in run("--key", "sp_key").stdout


def test_a_stand_in_and_a_budget_that_was_passed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody was paid what a stand-in plays; a bill above what was set aside passes a budget."""
    shown = run("--key", "sp_key").stdout
    assert "stand-in" not in shown
    assert "passed by" not in shown
    budgets = [{"period": "2026-01-31", "usd": 1.5, "most_usd": 1.0}]
    monkeypatch.setitem(COSTS, "budgets", budgets)
    monkeypatch.setitem(COSTS, "stand_in_usd", 0.5)
    part = run("--key", "sp_key").stdout
    assert "2026-01-31: US$ 1.500000 of at most 1.00, passed by 0.500000" in part
    assert "US$ 1.500000: US$ 0.500000 of it played by a stand-in for tests" in part
    monkeypatch.setitem(COSTS, "stand_in_usd", 1.5)
    assert "US$ 1.500000: all of it played by a stand-in for tests, which nobody was paid" in (
        run("--key", "sp_key").stdout
    )


def test_costs_are_one_line_of_json() -> None:
    """By the key that is asked for."""
    line = json.loads(run("--key", "sp_key", "--by", "document", "--json").stdout)
    assert line["groups"][0] == {"key": "2026-01-31", **SPEND, "name": DOCUMENT["name"]}
    assert line["stopped"][0]["provider"] == "claude"
    assert line["failed_documents"] == 1
    assert ASKED == ["document"]
    by_day = json.loads(run("--key", "sp_key", "--json").stdout)
    assert by_day["groups"][0] == {"key": "2026-01-31", **SPEND}


def test_documents_are_named_and_the_dearest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """By file name beside the id; what is deleted is said to be, and what failed is counted."""
    dear = {"key": "doc_z", **SPEND, "usd": 2.0}
    monkeypatch.setitem(COSTS, "groups", [{"key": "2026-01-31", **SPEND}, dear])
    shown = run("--key", "sp_key", "--by", "document").stdout
    assert "2026-01-31  lease\N{REPLACEMENT CHARACTER}.pdf" in shown
    assert "doc_z  (deleted)" in shown
    assert shown.index("doc_z") < shown.index("lease")
    assert "1 document failed: what failed counts only if its text was read" in shown
    assert "had claude-opus-5 read it US$" in shown
    by_day = run("--key", "sp_key").stdout
    assert by_day.index("2026-01-31  ") < by_day.index("doc_z")
    assert "lease" not in by_day


def test_an_older_suite_knows_no_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it read is told in one sum."""
    monkeypatch.delitem(COSTS["specialists"], "kinds")
    shown = run("--key", "sp_key").stdout
    assert "  40,000 tokens in 8.0 s, 5,000 a second, US$ 0.005556 a million" in shown


def test_an_older_suite_has_no_work_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not say is left out."""
    for name in ("specialists", "frontier", "training", "quoted"):
        monkeypatch.delitem(COSTS, name)
    shown = run("--key", "sp_key").stdout
    assert "3 calls, US$ 1.500000" in shown
    assert "specialists" not in shown


def test_whoever_has_the_database_sees_all_tenants(tmp_path: Path) -> None:
    """By tenant, with their calls and their work, without a key: no suite is asked."""
    store = Store(f"sqlite:///{tmp_path / 'escalation.db'}", "escalation", MIGRATIONS)
    store.migrate()
    book, one = Ledger(store), call(1)
    book.reserve(one, Caps(100, 100))
    book.settle(one.id, Usage(1, 1), 90, {})
    with store.write() as session:
        Readings(session, "other").note(
            Reading("other", "doc_1", 1, "mine", "1.0.0", "contract", "2026-01-31", 36.0, 100, 9)
        )
    store.close()
    told = run("--all-tenants", "--data", str(tmp_path), "--json").stdout
    lines = {line["tenant"]: line for line in json.loads(told)["tenants"]}
    assert (lines["default"]["calls"], lines["default"]["usd"]) == (1, 0.00009)
    assert (lines["other"]["documents"], lines["other"]["machine_usd"]) == (1, 0.001)
    assert "the machine at US$ 0.10 an hour" in run("--all-tenants", "--data", str(tmp_path)).stdout
    assert ASKED == []


def test_a_key_is_needed_and_said() -> None:
    """Only the suite's own users see its money."""
    error = run().exception
    assert isinstance(error, SuiteError)
    assert "--key" in error.message


def test_a_stopped_provider_goes_on(tmp_path: Path) -> None:
    """In the data folder, without a running suite; who is not stopped is named."""
    missing = run("--resume", "acme", "--data", str(tmp_path)).exception
    assert isinstance(missing, SuiteError)
    store = Store(f"sqlite:///{tmp_path / 'escalation.db'}", "escalation", MIGRATIONS)
    store.migrate()
    book, one = Ledger(store), call(1)
    book.reserve(one, Caps(100, 100))
    book.settle(one.id, Usage(1, 1), 101, {})
    assert [stop.provider for stop in book.stops()] == ["acme"]
    done = run("--resume", "acme", "--data", str(tmp_path))
    assert done.exception is None
    assert "acme may be asked again" in done.stderr
    assert f"by its bill for the call {one.id}" in done.stderr
    assert book.stops() == []
    again = run("--resume", "acme", "--data", str(tmp_path)).exception
    assert isinstance(again, SuiteError)
    assert "acme is not stopped" in again.message
    store.close()
