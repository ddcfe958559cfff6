"""Verdicts about filings with one slip and about sound ones."""

from __future__ import annotations

import ast
import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from services.triage.check_pages import page_of
from services.triage.checks import plausibility
from services.triage.checks.root_causes import MOST
from services.triage.checks.suspects import CHECKS
from services.triage.checks.verdict import FLAGGED
from services.triage.relations import identities
from services.triage.relations.message_format import format_column_end, money, title
from services.triage.statements.model import Column
from tests.support import ROOT
from tests.unit.triage.filings import (
    bent,
    cash_flow,
    find_row,
    income,
    millions,
    only,
    record,
    row,
    statement_of,
    verdict,
    without,
)


def test_a_sound_filing_is_not_flagged() -> None:
    result = verdict(record())
    assert not result.findings
    assert result.risk == 0
    assert not result.flagged


def test_training_columns_make_no_difference() -> None:
    plain = bent("balance_sheet", "Total current assets", 1, 4509)
    dressed = copy.deepcopy(plain)
    dressed |= {"label": "injected", "truth": {"row": 4}, "natural_breaks": [1]}
    for statement in dressed["statements"]:
        statement["checks"] = {"A=L+E": [False, True]}
        for line in statement["rows"]:
            line |= {"concept": "Assets", "custom": 1, "negated": 1, "dims": ["x"]}
    assert verdict(dressed) == verdict(plain)


@pytest.mark.parametrize(
    ("statement", "label", "column", "amount", "check", "cause"),
    [
        ("balance_sheet", "Total current assets", 1, 4509, "balance_sheet_sums", "swapped"),
        ("balance_sheet", "Goodwill", 0, -2116, "balance_sheet_sums", "sign"),
        ("balance_sheet", "Accounts payable", 1, 1.795, "balance_sheet_sums", "thousand"),
        ("income", "Cost of goods sold", 1, 7212, "income_sums", "swapped"),
        ("income", "Operating income", 1, 1568, "income_sums", "This also explains why"),
        ("cash_flow", "Dividends paid", 0, -459, "cash_flow_sums", "swapped"),
        ("cash_flow", "Net income", 1, 1302, "net_income_agrees", "This also explains why"),
    ],
)
def test_one_slip_is_found_where_it_is(
    statement: str, label: str, column: int, amount: float, check: str, cause: str
) -> None:
    filing = bent(statement, label, column, amount)
    sound, index = find_row(record(), statement, label)
    finding = only(filing)
    place = (finding.statement, finding.row, finding.column)
    assert (finding.check, place) == (check, (statement, index, column))
    assert finding.label == label
    assert finding.expected == sound["rows"][index]["values"][column]
    assert cause in finding.message
    assert verdict(filing).flagged


def test_the_arithmetic_is_written_out() -> None:
    finding = only(bent("balance_sheet", "Total current assets", 0, 4914))
    assert "1,234,000,000 + 2,719,000,000 + 988,000,000 = 4,941,000,000" in finding.message
    assert "a difference of -27,000,000" in finding.message
    assert "(2023-12-31)" in finding.message
    assert finding.reported == millions(4914)
    assert "Rounding to 1,000,000 explains a difference of 1,000,000 at most." in finding.message
    twice = only(bent("cash_flow", "Net income", 1, 828))
    assert twice.check == "net_income_agrees"
    assert "Rounding" not in twice.message


def test_assets_that_are_not_liabilities_and_equity_are_found_without_support() -> None:
    sheet = {
        "statement": "balance_sheet",
        "columns": [{"end": "20231231"}],
        "rows": [row("Total assets", 14382), row("Total liabilities and equity", 14328)],
    }
    finding = only({"id": "x", "statements": [sheet]})
    assert finding.check == "balance_equation"
    assert "swapped" in finding.message


def test_two_columns_that_changed_places_in_one_line_are_one_finding() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Accounts receivable, net")
    part["rows"][index]["values"].reverse()
    finding = only(filing)
    assert (finding.check, finding.row, finding.column) == ("swapped_columns", index, 0)
    assert finding.expected == millions(2719)


def test_a_missing_line_is_found_where_it_belongs() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Goodwill")
    del part["rows"][index]
    finding = only(filing)
    assert finding.check == "missing_line"
    assert finding.message.startswith("'Total assets' (2023-12-31) is 14,382,000,000, but ")
    assert " + " in finding.message
    assert (
        " = 12,266,000,000: a difference of 2,116,000,000. The lines above 'Total assets'"
        in finding.message
    )
    assert finding.row == index
    assert finding.column is None
    assert finding.expected == millions(2116)


@pytest.mark.parametrize("factor", [1000, 0.001])
@pytest.mark.parametrize("name", ["balance_sheet", "income", "cash_flow"])
def test_a_statement_in_another_scale_is_found(name: str, factor: float) -> None:
    filing = record()
    part = statement_of(filing, name)
    for line in part["rows"]:
        if "share" not in line["label"] or line["label"].startswith("Total"):
            line["values"] = [None if v is None else int(v * factor) for v in line["values"]]
    first = verdict(filing).findings[0]
    assert (first.check, first.statement) == ("statement_scale", name)
    assert first.row is None
    assert first.column is None
    assert first.severity == "high"
    assert first.message.startswith(f"The whole {title(name)} looks 1,000 times too ")
    assert "sheet statement" not in first.message


def test_a_whole_amount_is_written_without_decimals() -> None:
    assert money(Decimal("295810200000.00")) == "295,810,200,000"
    assert money(Decimal("-1E+3")) == "-1,000"
    assert money(Decimal("2.31")) == "2.31"


def test_columns_that_end_on_one_day_are_named_with_their_duration() -> None:
    columns = [Column("20230630", 1), Column("20230630", 2), Column("20220630", 2), Column()]
    assert [format_column_end(columns, column) for column in range(4)] == [
        " (2023-06-30, 1 quarter)", " (2023-06-30, 2 quarters)", " (2022-06-30)", " (column 3)",
    ]  # fmt: skip


def test_an_amount_that_dwarfs_everything_is_found() -> None:
    filing = record()
    for year, label in enumerate(("Cash paid for interest", "Cash paid for taxes")):
        filing["statements"][2]["rows"].append(row(label, 201 + year, 199, 188))
    filing["statements"][2]["rows"][-1]["values"][1] *= 1000
    finding = only(filing)
    assert (finding.check, finding.column) == ("magnitude", 1)
    assert finding.expected == millions(199)


def test_rounding_does_not_flag() -> None:
    assert not verdict(bent("balance_sheet", "Total current assets", 0, 4942)).flagged


def test_lines_that_only_one_column_has_may_stand_outside_a_sum() -> None:
    filing = record()
    part = filing["statements"][1]
    part["rows"].insert(4, row("Memo: restructuring included above", 77, None, None))
    assert not verdict(filing).flagged


def test_a_relation_that_never_held_is_no_finding() -> None:
    filing = without("cash_flow", "Change in receivables")
    assert not verdict(filing).flagged


def test_a_column_in_another_currency_is_not_a_list_of_errors() -> None:
    filing = record()
    for part in filing["statements"]:
        for number, line in enumerate(part["rows"]):
            if isinstance(line["values"][0], int):
                line["values"][0] = line["values"][0] * 107 + number * number * 31_000_000
    result = verdict(filing)
    assert result.findings
    assert len(result.findings) <= MOST


def test_findings_are_few_and_sorted_by_confidence() -> None:
    filing = bent("balance_sheet", "Total current assets", 1, 4509)
    part, index = find_row(filing, "cash_flow", "Dividends paid")
    part["rows"][index]["values"][0] = -459_000_000
    result = verdict(filing)
    confidences = [f.confidence for f in result.findings]
    assert len(confidences) == 2
    assert confidences == sorted(confidences, reverse=True)
    assert result.risk == confidences[0]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["Total current assets", "Total assets", "Total liabilities"]),
    st.integers(0, 1),
    st.integers(4, 900).filter(lambda n: n not in (6, 12)),
    st.sampled_from([1, -1]),
)
def test_an_altered_total_of_the_balance_sheet_is_always_found(
    label: str, column: int, size: int, sign: int
) -> None:
    sheet, index = find_row(record(), "balance_sheet", label)
    amount = sheet["rows"][index]["values"][column] / 1_000_000 + sign * size
    result = verdict(bent("balance_sheet", label, column, amount))
    assert result.flagged
    assert (result.findings[0].row, result.findings[0].column) == (index, column)


CHANCE = [1, 31620, 31622]
"""Within rounding the third line is the sum of the others, and three times as large it is not."""


@settings(max_examples=25, deadline=None)
@example(CHANCE, 0)
@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=12), st.integers(0, 5))
def test_a_section_that_adds_up_is_never_flagged(parts: list[int], power: int) -> None:
    runs = [(i, sum(parts[j:i])) for i in range(len(parts)) for j in range(i - 1)]
    near = [i for i, total in runs if abs(parts[i] - total) <= 1 and parts != CHANCE]
    assume(not near)
    columns = [[p * 10**power for p in parts], [p * 3 * 10**power for p in parts]]
    lines = [
        {"label": f"Asset {i}", "values": [columns[0][i], columns[1][i]], "unit": "USD"}
        for i in range(len(parts))
    ]
    total = {"label": "Total assets", "values": [sum(c) for c in columns], "unit": "USD"}
    claims = {**total, "label": "Total liabilities and equity"}
    sheet = {
        "statement": "balance_sheet",
        "columns": [{"end": "20231231"}, {"end": "20221231"}],
        "rows": [*lines, total, claims],
    }
    assert not verdict({"id": "x", "statements": [sheet]}).flagged


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_filing_breaks_triage(data: st.DataObject) -> None:
    amounts = st.one_of(
        st.none(), st.integers(-(10**15), 10**15), st.sampled_from([0, 0.01, -2.5, 1000, "(3)"])
    )
    filing: dict[str, Any] = record()
    for part in filing["statements"]:
        for line in part["rows"][::3]:
            line["values"] = [data.draw(amounts) for _ in line["values"]]
    result = verdict(filing)
    assert 0 <= result.risk <= 1
    assert result.flagged == (result.risk >= FLAGGED)
    for finding in result.findings:
        part = statement_of(filing, finding.statement)
        assert finding.row is None or 0 <= finding.row <= len(part["rows"])
        assert finding.column is None or 0 <= finding.column < len(part["columns"])


def test_every_check_has_a_page() -> None:
    checks = {*_emitted(), *identities.REGISTRY, *plausibility.REGISTRY}
    assert {"cash_flow_change", "same_amount", "swapped_columns", "line_twice"} <= checks
    folder = ROOT / "services" / "triage" / "check_pages"
    pages = {path.stem: path.read_text("utf-8") for path in folder.glob("*.md")}
    assert set(pages) == checks
    for name, text in pages.items():
        assert ".py" not in text, name
        page = page_of(name)
        assert page is not None
        assert f"# {page.title}\n" in text
        for section in (page.compares, page.possible_explanation, page.how_to_verify, page.example):
            assert section.endswith("."), name
    assert page_of("nonsense") is page_of("../store") is None


def _emitted() -> set[str]:
    makers = {"Equation", "Anomaly", "Finding", "compare_cells"}
    found: set[Any] = set(CHECKS)
    for path in (ROOT / "services" / "triage").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
                names = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "check")]
                found |= {one.value for one in names if isinstance(one, ast.Constant)}
    return {name for name in found if isinstance(name, str)}


def test_quarters_and_halves_are_not_confused() -> None:
    half, quarter = income(), cash_flow()
    half["columns"] = [
        {"end": "20230630", "quarters": 1},
        {"end": "20230630", "quarters": 2},
        {"end": "20220630", "quarters": 2},
    ]
    quarter["columns"] = [
        {"end": "20230630", "quarters": 2},
        {"end": "20220630", "quarters": 2},
        {"end": "20210630", "quarters": 2},
    ]
    for line in quarter["rows"][:1]:
        line["values"] = [int(millions(n)) for n in (1032, 882, 882)]
    result = verdict({"id": "q", "statements": [half, quarter]})
    assert all(f.check != "net_income_agrees" for f in result.findings)


def test_a_message_has_an_end() -> None:
    filing = bent("balance_sheet", "Total current assets", 1, 4509)
    for line in filing["statements"][0]["rows"]:
        line["label"] += " of " + "x" * 100_000
    result = verdict(filing)
    assert result.findings
    assert all(len(finding.message) <= 2_000 for finding in result.findings)


def test_net_income_of_a_company_is_recognised_whatever_its_name() -> None:
    filing = record()
    _, place = find_row(filing, "income", "Net income")
    parent = row("Net income attributable to Example Paper Company", 1189, 1032, 882)
    statement_of(filing, "income")["rows"][place : place + 1] = [
        row("Net income", 1200, 1040, 891), row("Noncontrolling interests", 11, 8, 9), parent,
    ]  # fmt: skip
    checks = {finding.check for finding in verdict(filing).findings}
    assert "net_income_agrees" not in checks


def test_the_effect_of_exchange_rates_on_other_items_is_no_part_of_the_change_in_cash() -> None:
    filing = record()
    rows = statement_of(filing, "cash_flow")["rows"]
    rows[1] = row("Effect of exchange rate changes on monetary assets", 26, -110, 7)
    rows.insert(10, row("Cash before other", 153, -49, -21))
    change = {item.check for item in verdict(filing).coverage.items}
    assert "cash_flow_change" not in change
