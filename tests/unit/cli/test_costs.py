"""`smallprint costs`: the ledger of a running suite, and letting a stopped provider go on."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from services.cli.output.tables import MOST_SUMS
from services.escalation.costs import Reading, Readings
from services.escalation.ledger import Caps, Ledger
from shared.errors import SuiteError
from shared.policy.prices import Usage
from tests.contract.ledger.calls import call
from tests.support.samples import document_json
from tests.unit.cli.builders import invoke, opened, put_suite

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


def work(documents: int, seconds: float, read: int, usd: float, **more: Any) -> dict[str, Any]:
    """The work of specialists, and its pace."""
    pace = {"tokens_per_second": read / seconds, "usd_per_million": usd / read * 1e6}
    amounts = {"documents": documents, "seconds": seconds, "tokens_read": read, "usd": usd}
    return {**amounts, **pace, "tokens_quoted": 3_000, **more}


def training(adapter: str, **more: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("hours", "machine", "usd", "after_documents"))
    paid = {"hour_usd": 3.0, "paid_per_document_usd": 0.01, "saved_per_document_usd": 0.07}
    return {"adapter": adapter, "version": "1.2.0", "documents": 4, **unknown, **paid, **more}


COSTS: dict[str, Any] = {
    "calls": 3,
    "usd": 1.5,
    "items": [{"provider": "claude", **SPEND}],
    "groups": [{"key": "2026-01-31", **SPEND}],
    "budgets": [{"period": "2026-01", "usd": 1.5, "max_usd": 50}],
    "stopped": [
        {"provider": "claude", "since": "2026-01-31T12:00:00Z", "reason": "it\x1b[31m billed"}
    ],
    "specialists": work(
        *(4, 8.0, 40_000, 0.000222),
        hour_usd=0.1,
        kinds=[
            work(3, 7.5, 10_000, 0.000208, kind="contract"),
            work(1, 0.5, 30_000, 0.000014, kind="report"),
        ],
    ),
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
        training(
            "contract-clauses",
            hours=4.2,
            machine="two processor cores",
            usd=12.6,
            after_documents=181,
        ),
        training("mine"),
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
DOCUMENT = document_json(id="2026-01-31", name="lease\x1b.pdf", outcome="failed")


class Suite:
    """Answers with `costs`, and remembers by what they were asked for."""

    def __init__(self) -> None:
        self.costs = copy.deepcopy(COSTS)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/documents":
            return httpx.Response(200, json={"items": [DOCUMENT], "next": None})
        self.asked.append(str(request.url.params["by"]))
        return httpx.Response(200, json=self.costs)


@pytest.fixture(autouse=True)
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = Suite()
    put_suite(monkeypatch, suite)
    return suite


def run(*arguments: object) -> Result:
    return invoke("costs", *arguments)


def test_costs_are_a_table_with_budgets_and_stops(suite: Suite) -> None:
    shown = run().stdout
    for text in (
        "paid to frontier models      US$ 1.500000  3 calls\n",
        "this machine                 US$ 0.000222  4 documents, 8.0 s at US$ 0.10 an hour\n",
        "the same with claude-opus-5  US$ 0.275000  at least, at prices of 2026-07-31\n",
        "budget 2026-01: US$ 1.500000 of 50.00\n",
        "! claude is stopped: it",
        "contract 3 10,000 7.5 1,333 0.020800\n",
        "report 1 30,000 0.5 60,000 0.000467\n",
        "2026-01-31 4 0.000222 0.275000 3 1.500000 0.250000 12,000 90\n",
        "contract-clauses 1.2.0 4.20 12.60 181 4\n",
    ):
        assert text in shown or text in re.sub(" +", " ", shown)
    assert "mine" not in shown, "its hours are unknown"
    assert "\x1b" not in shown
    assert suite.asked == ["day"]


def test_columns_of_zeros_are_left_out(suite: Suite) -> None:
    assert "uncertain" in run().stdout
    assert "reserved" not in run().stdout


@pytest.mark.parametrize(("by", "hidden"), [("day", {"k00", "k01"}), ("provider", {"k10", "k11"})])
def test_of_many_sums_the_latest_or_largest_are_shown(
    suite: Suite, by: str, hidden: set[str]
) -> None:
    keys = [f"k{number:02}" for number in range(MOST_SUMS + 2)]
    suite.costs["groups"] = [{"key": k, **SPEND, "usd": 99 - int(k[1:])} for k in keys]
    shown = run("--by", by).stdout
    assert {key for key in keys if key not in shown} == hidden
    assert "and 2 more: --json has all" in shown


@pytest.mark.parametrize(
    ("played", "text"),
    [
        (0.5, "3 calls: US$ 0.500000 of it by a test stand-in"),
        (1.5, "3 calls: all of it by a test stand-in, which costs nothing"),
    ],
)
def test_a_stand_in_and_a_passed_budget_are_reported(
    suite: Suite, played: float, text: str
) -> None:
    suite.costs |= {"stand_in_usd": played}
    suite.costs["budgets"][0]["max_usd"] = 1.0
    shown = run().stdout
    assert text in shown
    assert "2026-01: US$ 1.500000 of 1.00, passed by 0.500000" in shown


def test_costs_are_one_line_of_json(suite: Suite) -> None:
    line = json.loads(run("--by", "document", "--json").stdout)
    assert line["groups"][0] == {"key": "2026-01-31", **SPEND, "name": DOCUMENT["name"]}
    assert line["stopped"][0]["provider"] == "claude"
    assert line["failed_documents"] == 1
    assert suite.asked == ["document"]
    assert json.loads(run("--json").stdout)["groups"][0] == {"key": "2026-01-31", **SPEND}


def test_documents_are_named_and_the_dearest_come_first(suite: Suite) -> None:
    suite.costs["groups"].append({"key": "doc_z", **SPEND, "usd": 2.0})
    shown = run("--by", "document").stdout
    assert re.search(r"2026-01-31 .* lease\N{REPLACEMENT CHARACTER}.pdf", shown)
    assert re.search(r"doc_z .* \(deleted\)", shown)
    assert shown.index("doc_z") < shown.index("lease")
    assert "1 document failed: they only count if their text was read" in shown
    by_day = run().stdout
    assert by_day.index("2026-01-31  ") < by_day.index("doc_z")
    assert "lease" not in by_day


def test_a_suite_without_work_of_specialists_lists_none(suite: Suite) -> None:
    for name in ("specialists", "frontier", "training", "quoted"):
        del suite.costs[name]
    shown = run().stdout
    assert "US$ 1.500000  3 calls" in shown
    assert "this machine" not in shown


def test_access_to_the_database_shows_all_tenants(tmp_path: Path, suite: Suite) -> None:
    with opened(tmp_path, "escalation") as store:
        book, one = Ledger(store), call(1)
        book.reserve(one, Caps(100, 100))
        book.settle(one.id, Usage(1, 1), 90, {})
        reading = ("other", "doc_1", 1, "mine", "1.0.0", "contract", "2026-01-31", 36.0, 100, 9)
        with store.write() as session:
            Readings(session, "other").note(Reading(*reading))
    output = run("--all-tenants", "--data", tmp_path, "--json").stdout
    lines = {line["tenant"]: line for line in json.loads(output)["tenants"]}
    assert (lines["default"]["calls"], lines["default"]["usd"]) == (1, 0.00009)
    assert (lines["other"]["documents"], lines["other"]["machine_usd"]) == (1, 0.001)
    assert "the machine at US$ 0.10 an hour" in run("--all-tenants", "--data", tmp_path).stdout
    assert suite.asked == []


def test_a_stopped_provider_goes_on(tmp_path: Path) -> None:
    resume = ("--resume", "acme", "--data", tmp_path)
    assert isinstance(run(*resume).exception, SuiteError)
    with opened(tmp_path, "escalation") as store:
        book, one = Ledger(store), call(1)
        book.reserve(one, Caps(100, 100))
        book.settle(one.id, Usage(1, 1), 101, {})
        assert [stop.provider for stop in book.stops()] == ["acme"]
        done = run(*resume)
        assert done.exception is None
        assert "acme may be used again" in done.stderr
        assert f"because of its bill for call {one.id}" in done.stderr
        assert book.stops() == []
        again = run(*resume).exception
    assert isinstance(again, SuiteError)
    assert "acme is not stopped" in again.message
