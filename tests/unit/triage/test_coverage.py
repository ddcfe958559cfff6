"""A verdict says what was checked, and lists identities that do not close."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.domain import Coverage
from tests.unit.triage.filings import (
    Record,
    balance_sheet,
    bent,
    cash_flow,
    change,
    income,
    millions,
    read,
    record,
    restricted,
    row,
    statement_of,
    verdict,
)


def of(*statements: Record) -> Record:
    return {"id": "f", "statements": [*statements]}


def short(kind: str, *lines: tuple[str, float | None]) -> Record:
    column = {"end": "20231231", **({} if kind == "balance_sheet" else {"quarters": 4})}
    rows = [row(label, amount) for label, amount in lines]
    return of({"statement": kind, "columns": [column], "rows": rows})


@pytest.mark.parametrize(
    ("filing", "found", "missing", "summary"),
    [
        (record(), ["balance_sheet", "income", "cash_flow"], [],
         "Balance sheet, income statement and cash flow statement; "),
        (of(income()), ["income"], ["balance_sheet", "cash_flow"],
         ". Balance sheet and cash flow statement: not found. Statements in one file are checked "
         "against each other."),
        (of(cash_flow(), balance_sheet()), ["balance_sheet", "cash_flow"], ["income"],
         "Balance sheet and cash flow statement; "),
        (short("income", ("Blue", 3), ("Green", 4)), ["income"], ["balance_sheet", "cash_flow"],
         "Income statement only; 0 relations checked. "),
    ],
    ids=["whole", "income alone", "two", "nothing known"],
)  # fmt: skip
def test_statements_found_and_missing(
    filing: Record, found: list[str], missing: list[str], summary: str
) -> None:
    coverage = verdict(filing).coverage
    assert [*coverage.statements] == found
    assert [*coverage.missing] == missing
    assert summary in coverage.summary
    assert not coverage.broken
    assert not coverage.items


def test_each_relation_counts_once_a_column() -> None:
    one, two = (
        verdict(of({"statement": "income",
                    "columns": [{"end": f"{year}1231"} for year in (2023, 2022)[:width]],
                    "rows": [row("Net sales", *(11, 10)[:width]),
                             row("Cost of goods sold", *(7, 6)[:width]),
                             row("Gross profit", *(4, 4)[:width])]}))
        for width in (1, 2)
    )  # fmt: skip
    assert (one.coverage.relations, two.coverage.relations) == (1, 2)


def mezzanine(equity: float = 6683) -> Record:
    """A sheet with an unread line between liabilities and equity, in both columns."""
    filing = record()
    change(filing, "balance_sheet", "Total stockholders' equity", equity, 6119)
    sheet = statement_of(filing, "balance_sheet")
    unread = ("Common stock", "Retained earnings", "Accounts payable", "Long-term debt")
    sheet["rows"] = [line for line in sheet["rows"] if line["label"] not in unread]
    return filing


SHORT_SHEET = (("Cash", 500), ("Plant", 710), ("Total assets", 1210), ("Total liabilities", 600))


@pytest.mark.parametrize(
    ("filing", "check", "label", "reported", "expected", "reason"),
    [
        (restricted(), "cash_agrees", "Cash and cash equivalents at end of year", 1244, 1234,
         "restricted cash"),
        (mezzanine(), "headline_sums", "Total liabilities and stockholders' equity", 14382, 14182,
         "mezzanine equity"),
        (short("balance_sheet", *SHORT_SHEET, ("Total equity", 601)), "headline_sums",
         "Total assets", 1210, 1201, "non-controlling interests"),
        (short("income", ("Income before income taxes", 100), ("Provision for income taxes", 30),
               ("Net income", 80)), "headline_sums", "Net income", 80, 70, "discontinued"),
        (short("cash_flow", ("Net cash provided by operating activities", 90),
               ("Net cash used in investing activities", -30),
               ("Net cash used in financing activities", -20),
               ("Net increase in cash", 45)), "cash_flow_change", "Net increase in cash", 45, 40,
         "discontinued operations"),
        (short("cash_flow", ("Net increase in cash", 153), ("Effect of hedges", 1),
               ("Cash at beginning of year", 1081), ("Cash at end of year", 1254)),
         "cash_roll_forward", "Cash at end of year", 1254, 1234, "exchange rates"),
    ],
    ids=["restricted cash", "mezzanine", "without a total of claims", "net income", "change",
         "a line between"],
)  # fmt: skip
def test_an_identity_that_does_not_close_is_listed_with_its_usual_reason(
    filing: Record, check: str, label: str, reported: int, expected: int, reason: str,
    shipped: BreakClassifier,
) -> None:  # fmt: skip
    result = triage_filing(read(filing))
    item = next(item for item in result.coverage.items if item.label == label)
    assert (item.check, item.reported, item.expected) == (
        check,
        millions(reported),
        millions(expected),
    )
    difference = f"a difference of {(reported - expected) * 1_000_000:,}."
    assert difference in item.message
    form = item.to_json()
    assert reason in form["possible_explanation"]
    assert form["difference"] == (reported - expected) * 1_000_000
    assert not result.findings
    judged = triage_filing(read(filing), shipped)  # it may say that this is a finding
    shown = [finding.message for finding in judged.findings]
    shown += [item.message for item in judged.coverage.items]
    assert any(difference in message for message in shown)


@pytest.mark.parametrize(
    ("lines", "unchecked"),
    [
        ((*SHORT_SHEET, ("Equity of the house", 601)), 1),
        (SHORT_SHEET[:3], 1),
        ((*SHORT_SHEET, ("Total equity", 610)), 0),
        ((*SHORT_SHEET[:3], ("Total liabilities and equity", 1210)), 0),
    ],
    ids=["equity in unknown words", "assets alone", "parts", "both totals"],
)
def test_a_balance_that_no_relation_compares_is_named(
    lines: tuple[tuple[str, float], ...], unchecked: int
) -> None:
    coverage = verdict(short("balance_sheet", *lines)).coverage
    assert coverage.to_json()["balance_unchecked"] == unchecked
    assert (" The balance was not checked." in coverage.summary) == bool(unchecked)
    both = coverage.plus(verdict(record()).coverage, 1)
    assert ("balance of some filings was not checked" in both.summary) == bool(unchecked)


ASSETS = (("Cash", 210), ("Receivables", 300), ("Inventories", 200), ("Plant", 500))
CLAIMS = (("Accounts payable", 210), ("Long-term debt", 400), ("Total liabilities", 610),
          ("Common stock", 100), ("Retained earnings", 500), ("Total equity", 600),
          ("Total liabilities and equity", 1210))  # fmt: skip
WRONG = ("Cash", 120)
ACTIVITIES = (("Net cash provided by operating activities", 9013),
              ("Net cash used in investing activities", -30),
              ("Net cash used in financing activities", -20))  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "items", "not_added"),
    [
        ((*ASSETS, ("Total assets", 1210), *CLAIMS), [], ()),
        ((WRONG, *ASSETS[1:], ("Total assets", 1210), *CLAIMS), [("Total assets", 1120)], ()),
        ((WRONG, *ASSETS[1:3], ("Total current assets", 710), ASSETS[3], ("Total assets", 1210),
          *CLAIMS), [("Total current assets", 620)], ()),
        ((*ASSETS, ("Less: accumulated depreciation", 100), ("Total assets", 1110), *CLAIMS[:-1],
          ("Minorities", -100), ("Total liabilities and equity", 1110)),
         [("Total liabilities and equity", 1210)], ()),
        ((*ASSETS, ("Total assets", 1210), *CLAIMS[:3], ("Redeemable interests", 50),
          ("Common stock", 50), *CLAIMS[4:5], ("Total equity", 550), CLAIMS[-1]), [], ()),
        ((*ASSETS, ("Total assets", 1210), CLAIMS[0], ("Long-term debt", 490), *CLAIMS[2:]),
         [("Total liabilities", 700)], ()),
        ((WRONG, ("Total investments", 300), *ASSETS[2:], ("Total assets", 1210), *CLAIMS), [],
         ("total assets",)),
        ((WRONG, *ASSETS[1:], ("Total assets", 1210), *CLAIMS[2:3], *CLAIMS[5:]),
         [("Total assets", 1120)], ()),
        ((*ASSETS[:3], ("Total assets", 1210), *CLAIMS[2:3], *CLAIMS[5:]), [], ("total assets",)),
        ((WRONG, ASSETS[1], ("Total current assets", 710), ("Total assets", 1210), CLAIMS[0],
          ("Total current liabilities", 310), CLAIMS[1], *CLAIMS[2:3], *CLAIMS[5:]), [],
         ("total current assets", "total liabilities")),
    ],
    ids=["sound", "assets", "current assets", "a deduction", "mezzanine equity", "liabilities",
         "an unknown subtotal", "a single section", "a single section without lines",
         "headlines"],
)  # fmt: skip
def test_lines_of_a_section_are_added_up_in_a_single_column(
    lines: tuple[tuple[str, float], ...],
    items: list[tuple[str, int]],
    not_added: tuple[str, ...],
    shipped: BreakClassifier,
) -> None:
    filing = read(short("balance_sheet", *lines))
    for result in (triage_filing(filing), triage_filing(filing, shipped)):
        coverage = result.coverage
        shown = [(item.label, item.expected) for item in coverage.items]
        assert shown == [(label, millions(made)) for label, made in items]
        assert coverage.not_added_up == not_added
        assert ("not added up" in coverage.summary) == bool(not_added)
        assert not result.findings
    both = coverage.plus(coverage, 1)
    assert both.not_added_up == not_added


@pytest.mark.parametrize(
    ("filing", "check", "end", "relation", "outcome"),
    [
        (short("balance_sheet", *ASSETS, ("Total assets", 1210), *CLAIMS), "balance_sheet_sums",
         "20231231", "Total liabilities 610,000,000 = Accounts payable 210,000,000 + "
         "Long-term debt 400,000,000", "holds"),
        (short("income", ("Net sales", 11), ("Cost of goods sold", 7), ("Gross profit", 4)),
         "headline_sums", "20231231", "Gross profit 4,000,000 = Net sales 11,000,000 - "
         "Cost of goods sold 7,000,000", "holds"),
        (record(), "cash_agrees", "20221231", "Cash and cash equivalents at end of year "
         "1,081,000,000 = Cash and cash equivalents on the balance sheet 1,081,000,000", "holds"),
        (record(), "cash_between_periods", "20231231", "Cash and cash equivalents at beginning of "
         "year 1,081,000,000 = Cash and cash equivalents at end of year (2022-12-31) 1,081,000,000",
         "holds"),
        (restricted(), "cash_agrees", "20221231", "Cash and cash equivalents at end of year "
         "1,091,000,000 = Cash and cash equivalents on the balance sheet 1,081,000,000",
         "does_not_close"),
        (bent("cash_flow", "Net income", 0, 1198), "net_income_agrees", "20231231",
         "Net income 1,198,000,000 = Net income on the income statement 1,189,000,000", "broken"),
    ],
    ids=["sum", "signs", "statements", "years", "does not close", "broken"],
)  # fmt: skip
def test_checked_relations_are_listed_with_their_lines(
    filing: Record, check: str, end: str, relation: str, outcome: str
) -> None:
    coverage = verdict(filing).coverage
    assert (check, end, relation, outcome) in [
        (one.check, one.end, one.relation, one.outcome) for one in coverage.checks
    ]
    assert len(coverage.checks) == coverage.relations
    assert len(coverage.plus(coverage, 1).checks) == 1


@pytest.mark.parametrize(
    ("kind", "lines", "not_added"),
    [
        ("income", (("Net sales", 900), ("Research", 200), ("Selling expenses", 300),
                    ("Operating income", 410)), ("operating income",)),
        ("income", (("Net sales", 900), ("Operating income", 410)), ()),
        ("cash_flow", (("Net income", 90), ("Depreciation", 20), *ACTIVITIES),
         ("cash from operating activities",)),
        ("cash_flow", ACTIVITIES, ()),
    ],
)  # fmt: skip
def test_totals_that_no_lines_make_are_named(
    kind: str, lines: tuple[tuple[str, float], ...], not_added: tuple[str, ...]
) -> None:
    assert verdict(short(kind, *lines)).coverage.not_added_up == not_added


@pytest.mark.parametrize(
    "label",
    [
        "Net assets",
        "Shareholders\u2019 funds",
        "Partners' capital",
        "Equity attributable to owners of the parent",
    ],
)
def test_equity_by_its_other_names(label: str) -> None:
    coverage = verdict(short("balance_sheet", *SHORT_SHEET, (label, 601))).coverage
    assert [item.expected for item in coverage.items] == [millions(1201)]


def test_round_figures_are_no_excuse_for_a_printed_total() -> None:
    lines = [("Cash", 500_000), ("Plant", 710_000), ("Total assets", 1_210_000),
             ("Total liabilities", 610_000), ("Total equity", 600_000),
             ("Total liabilities and equity", 1_210_000)]  # fmt: skip
    assert not verdict(short("balance_sheet", *lines)).coverage.items
    lines[4] = ("Total equity", 591_000)
    (item,) = verdict(short("balance_sheet", *lines)).coverage.items
    assert item.reported - item.expected == millions(9_000)


@pytest.mark.parametrize(
    ("filing", "broken"),
    [
        (bent("balance_sheet", "Total current assets", 1, 4509), 2),
        (bent("balance_sheet", "Total assets", 0, 14328), 2),
        (bent("cash_flow", "Net income", 0, 1198), 2),
    ],
    ids=["a subtotal", "total assets", "net income"],
)
def test_breaks_that_a_finding_explains_are_broken_and_not_listed(
    filing: Record, broken: int
) -> None:
    sound, found = verdict(record()).coverage, verdict(filing)
    assert found.findings
    coverage = found.coverage
    assert (coverage.broken, coverage.not_closing, coverage.items) == (broken, 0, ())
    assert coverage.relations == sound.relations
    assert f", {broken} broken." in coverage.summary


@pytest.mark.parametrize("judge", ["classifier", "rules"])
def test_cash_that_does_not_lead_from_beginning_to_end_is_a_finding(
    judge: str, shipped: BreakClassifier
) -> None:
    lines = (("Net increase in cash", 153), ("Cash at beginning of year", 1081),
             ("Cash at end of year", 1254))  # fmt: skip
    classifier = shipped if judge == "classifier" else None
    result = triage_filing(read(short("cash_flow", *lines)), classifier)
    (finding,) = result.findings
    assert finding.check == "cash_roll_forward"
    assert result.flagged == (judge == "classifier")
    assert (result.coverage.broken, result.coverage.not_closing) == (1, 0)


@pytest.mark.parametrize(
    "lines",
    [
        (*ACTIVITIES[:2], ("Net change in short-term debt", 70), ACTIVITIES[2]),
        (*ACTIVITIES, ("Net increase (decrease) in bank deposits", 70)),
        (
            *ACTIVITIES[1:],
            ("Effect of exchange rate changes on cash", -4),
            ("Net increase in cash", 70),
            ACTIVITIES[0],
        ),
        (
            *ACTIVITIES[1:],
            ("Net cash from operating activities of continuing operations", 90),
            ("Net increase in cash", 70),
        ),
    ],
    ids=["above an activity", "below", "an activity moved below", "an activity in other words"],
)
def test_a_change_that_the_activities_need_not_make_is_not_checked(
    lines: tuple[tuple[str, float], ...],
) -> None:
    coverage = verdict(short("cash_flow", *lines)).coverage
    assert (coverage.relations, coverage.items) == (0, ())


@pytest.mark.parametrize(("change", "open_relations"), [(8983, 0), (8893, 1)])
@pytest.mark.parametrize(
    "lines",
    [ACTIVITIES[:2], (*ACTIVITIES[:2], ("Net cash used in financing activities", None))],
    ids=["no financing", "financing without an amount"],
)
def test_a_change_in_cash_is_checked_without_one_of_the_activities(
    lines: tuple[tuple[str, float | None], ...], change: float, open_relations: int
) -> None:
    filing = short("cash_flow", *lines, ("Net increase in cash", change))
    result = verdict(filing)
    assert [item.check for item in result.coverage.items] == ["cash_flow_change"] * open_relations
    assert (result.coverage.relations, result.findings) == (1, ())


def test_a_change_below_the_end_is_listed_and_no_finding() -> None:
    filing = short("cash_flow", ("Cash at beginning of year", 1081), ("Cash at end of year", 1254),
                   ("Net increase in cash from continuing operations", 153))  # fmt: skip
    result = verdict(filing)
    assert not result.findings
    assert [item.check for item in result.coverage.items] == ["cash_roll_forward"]


def test_coverages_of_several_filings_add_up() -> None:
    filings = [restricted(), of(income())]
    parts = [verdict(filing).coverage for filing in filings]
    total = parts[0].plus(parts[1], 1)
    assert total.relations == sum(part.relations for part in parts)
    assert total.not_closing == parts[0].not_closing > 1 == len(total.items)
    assert total.summary.endswith(
        "Balance sheet and cash flow statement: not found in every filing."
    )


def test_an_empty_coverage_says_so() -> None:
    form: dict[str, Any] = Coverage(missing=("balance_sheet",)).to_json()
    assert form["summary"] == "No statement; 0 relations checked. Balance sheet: not found."


def headlines(**amounts: float) -> Record:
    """A filing of headlines, with other amounts for some lines."""
    lines = {"Net sales": 1185, "Operating income": 340, "Net income": 118} | amounts
    sheet = {
        "Cash": 123,
        "Total assets": 1438,
        "Long-term debt": 441,
        "Retained earnings": 666,
        "Goodwill": 231,
        "Inventories": 187,
        "Accounts payable": 95,
    }
    parts = (income(), lines), (balance_sheet(), sheet)
    return of(
        *(
            {**part, "rows": [row(label, amount, amount - 7) for label, amount in shown.items()],
             "columns": part["columns"][:2]}
            for part, shown in parts
        )
    )  # fmt: skip


def test_a_filing_of_headlines_is_named_as_one() -> None:
    few, full = (verdict(filing).coverage for filing in (headlines(), record()))
    assert few.summary.endswith(
        " Only headlines: gaps may be lawful, and only identities and sure differences flag."
    )
    assert "headlines" not in full.summary
    assert " Only headlines of some filings: " in few.plus(full, 1).summary


def test_none_broken_is_said_only_of_a_filing_without_findings_and_open_relations() -> None:
    missing = record()
    sheet = statement_of(missing, "balance_sheet")
    sheet["rows"] = [line for line in sheet["rows"] if line["label"] != "Goodwill"]
    verdicts = [verdict(filing) for filing in (record(), restricted(), missing)]
    assert [finding.check for finding in verdicts[-1].findings] == ["missing_line"]
    said = ["none broken" in one.coverage.summary for one in verdicts]
    assert said == [True, False, False]


def test_an_odd_amount_alone_flags_no_headlines() -> None:
    few, full = headlines(**{"Cash paid for interest": 208}), copy.deepcopy(record())
    statement_of(full, "income")["rows"].append(row("Cash paid for interest", 208, 201, 188))
    for filing, flagged in ((few, False), (full, True)):
        statement_of(filing, "income")["rows"][-1]["values"][1] *= 1000
        result = verdict(filing)
        assert [finding.check for finding in result.findings] == ["magnitude"]
        assert result.flagged == flagged


def test_cash_with_restricted_cash_leads_from_year_to_year() -> None:
    filing = copy.deepcopy(of(cash_flow()))
    filing["statements"][0]["rows"] += [
        row("Less restricted cash", 34, 81, 30),
        row("Cash and cash equivalents without restricted cash at end of year", 1200, 1000, 1100),
    ]
    coverage = verdict(filing).coverage
    assert not [item for item in coverage.items if item.check == "cash_between_periods"]
    change(filing, "cash_flow", "Cash and cash equivalents at beginning of year", 1099, 1130, 1151)
    broken = verdict(filing)
    shown = [item.message for item in broken.coverage.items]
    assert any("1,099,000,000" in text for text in (*shown, *(f.message for f in broken.findings)))
