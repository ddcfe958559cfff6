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
from services.escalation.ledger import Caps, Ledger
from services.escalation.providers import Usage
from services.escalation.store import MIGRATIONS
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
    "next": None,
}
ASKED: list[str] = []


@pytest.fixture(autouse=True)
def _suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that has spent something."""

    def answer(request: httpx.Request) -> httpx.Response:
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
    assert ASKED == ["day"]


def test_costs_are_one_line_of_json() -> None:
    """By the key that is asked for."""
    line = json.loads(run("--key", "sp_key", "--by", "document", "--json").stdout)
    assert line["groups"][0] == {"key": "2026-01-31", **SPEND}
    assert line["stopped"][0]["provider"] == "claude"
    assert ASKED == ["document"]


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
    assert book.stops() == []
    again = run("--resume", "acme", "--data", str(tmp_path)).exception
    assert isinstance(again, SuiteError)
    assert "acme is not stopped" in again.message
    store.close()
