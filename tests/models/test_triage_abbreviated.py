"""Filings shortened to their headlines, the errors put into them, and the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.triage_breaks.abbreviated import ERRORS, shortened, spoiled
from models.triage_breaks.finverbench import evened, shortened_statements
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.verdict import triage_filing
from services.triage.relations.identities import is_brief
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import statement_views
from tests.models.builders import Record, tagged
from tests.support import artefacts
from tests.unit.triage.filings import read

TEXT = """ACME INC. — Financial Statements (in millions of USD)
Period: FY2025

INCOME STATEMENT
==========================================================
  Revenue                                          416,161
  Cost of Goods Sold                            220,960.40
  Gross Profit                                     195,201
  Operating Income                                 133,050
  Income Tax Expense                                20,719
  --------------------------------------------------------
  Net Income                                       112,010

BALANCE SHEET
==============================================================================
                                                   Current            Prior
  ----------------------------------------------------------------------------
  Cash and Equivalents                              35,934           29,965
  Accounts Receivable                               39,777           29,508
  Total Current Assets                             147,957          143,566
  Total Assets                                     359,241          352,583
  ----------------------------------------------------------------------------
  Accounts Payable                                  66,252
  Total Current Liabilities                        165,631          145,308
  Total Liabilities                                285,508          290,437
  Retained Earnings                                -14,264             -214
  Total Equity                                      73,733           62,146
  Total Liabilities & Equity                       359,241          352,583

CASH FLOW STATEMENT
==========================================================
  Net Income                                       112,010
  Cash from Operations                             111,482
  Capital Expenditures                              12,715
  Cash from Investing                               15,195
  Cash from Financing                             -120,686
  Net Change in Cash                                 5,991
  --------------------------------------------------------
  Ending Cash                                       35,934
"""


def short() -> Record:
    """The headlines of the sound filing."""
    found = shortened(tagged(id="0-23-1", cik=7), "seed")
    assert found is not None
    return found


def test_headlines_are_one_period_and_the_balance_sheet_two() -> None:
    found = short()
    assert found == short()
    widths = {s["statement"]: len(s["columns"]) for s in found["statements"]}
    assert widths == {"income": 1, "balance_sheet": 2, "cash_flow": 1}
    by_label = {r["label"]: r["values"] for s in found["statements"] for r in s["rows"]}
    assert by_label["Revenue"][0] - by_label["Cost of Goods Sold"][0] == by_label["Gross Profit"][0]
    assert by_label["Total Assets"][0] == 14_382_000_000
    assert by_label["Total Liabilities & Equity"][0] == by_label["Total Assets"][0]
    assert is_brief(statement_views(read(found)))


def test_a_filing_without_a_cash_flow_has_no_headlines() -> None:
    lacking = tagged()
    del lacking["statements"][2]
    assert shortened(lacking, "seed") is None


def balance_of(filing: Record) -> dict[str, list[int]]:
    """The lines of a balance sheet by label."""
    (sheet,) = (s for s in filing["statements"] if s["statement"] == "balance_sheet")
    return {line["label"]: line["values"] for line in sheet["rows"]}


@pytest.fixture(scope="module")
def shipped() -> BreakClassifier:
    return BreakClassifier.load(artefacts())


def test_a_copy_is_flagged_only_where_its_two_totals_are_from_different_years(
    shipped: BreakClassifier,
) -> None:
    mixed = []
    for seed in range(60):
        found = shortened(tagged(id="0-23-1", cik=7), str(seed))
        assert found is not None
        lines = balance_of(found)
        assets, claims = lines["Total Assets"], lines["Total Liabilities & Equity"]
        verdict = triage_filing(read(found), shipped)
        assert assets[0] == claims[0]
        assert verdict.flagged == (assets[1] != claims[1])
        mixed.append(verdict.flagged)
    assert {*mixed} == {True, False}


def test_a_part_between_liabilities_and_equity_is_listed_and_not_flagged(
    shipped: BreakClassifier,
) -> None:
    found = shortened(tagged(id="0-23-1", cik=7), "4")
    assert found is not None
    liabilities = balance_of(found)["Total Liabilities"]
    liabilities[:] = [liabilities[0] - 212_000_000, liabilities[1] - 197_000_000]
    for classifier in (shipped, None):
        verdict = triage_filing(read(found), classifier)
        assert not verdict.flagged
        gaps = {item.reported - item.expected for item in verdict.coverage.items}
        assert {212_000_000, 197_000_000} <= gaps
    liabilities[1] += 197_000_000  # the sum holds in the other column
    assert triage_filing(read(found), shipped).flagged


def test_one_amount_of_headlines_is_altered_and_named() -> None:
    base = short()
    made = list(spoiled(base, 40, "seed"))
    assert len(made) == 40
    assert {truth["type"] for _, truth in made} == set(ERRORS)
    for wrong, truth in made:
        changed = [
            (s["statement"], row, column)
            for s, t in zip(base["statements"], wrong["statements"], strict=True)
            for row, (a, b) in enumerate(zip(s["rows"], t["rows"], strict=True))
            for column in range(len(a["values"]))
            if a["values"][column] != b["values"][column]
        ]
        assert changed == [(truth["statement"], truth["row"], truth["column"])]
        share = abs(truth["after"] / truth["before"] - 1)
        assert min(abs(share - s) for s in ERRORS[truth["type"]][1]) < 0.01


def test_amounts_are_evened_out() -> None:
    found = evened(TEXT).split("\n")
    amounts = [line for line in found if line.startswith("  ") and line.strip()[-1].isdigit()]
    assert not any("." in line.split("  ")[-1] for line in amounts)
    assert {len(line) for line in amounts} == {62, 78}
    assert any(line.endswith("220,960") for line in amounts)


def test_published_statements_are_read_with_the_place_of_the_error(tmp_path: Path) -> None:
    errors = [
        {"error_location": "income_statement.eps_basic", "error_type": "MR_MINOR"},
        {"error_location": "balance_sheet.prior_year.total_equity", "error_type": "YOY"},
    ]
    truths = [None, errors[0], errors[1], {"errors": errors}]
    lines = [
        json.dumps({"id": f"acme__{i}", "company": "ACME", "text": TEXT, "truth": truth})
        for i, truth in enumerate(truths)
    ]
    (tmp_path / "abbreviated.jsonl").write_text("\n".join(lines) + "\n")
    sound, hidden, before, several = shortened_statements(tmp_path)
    assert sound.truth is None
    (balance,) = (s for s in sound.filing.statements if s.statement == "balance_sheet")
    assert len(balance.columns) == 2
    assert (hidden.shown, before.shown, several.shown) == (False, True, True)
    assert before.truth is not None
    assert (before.truth["statement"], before.truth["column"]) == ("balance_sheet", 1)
    assert balance.rows[before.truth["row"]].label == "Total Equity"
    assert several.truth is not None
    assert several.truth["type"] == "several"
    assert several.truth["row"] == before.truth["row"]


@pytest.mark.parametrize("cost", [243_056, 198_864])
def test_headlines_that_their_names_relate_are_doubted(cost: int) -> None:
    base = short()
    income_part = base["statements"][0]
    for line in income_part["rows"]:
        if line["label"] == "Cost of Goods Sold":
            line["values"] = [cost * 1_000_000]
    found = find_suspects(statement_views(read(base)), LearnedPatterns())
    assert any(d.kind == "cell" and d.numbers.get("check_headline_sums") for d in found)
    assert not any(
        d.numbers.get("check_headline_sums") and d.numbers["headline"] == 0
        for d in find_suspects(statement_views(read(short())), LearnedPatterns())
        if d.kind == "cell"
    )
