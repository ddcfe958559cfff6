"""Sums whose parts a page presents otherwise than they are added."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.triage.relations.presentation import DistantLines, Line, close_total
from services.triage.relations.relations import statement_views
from services.triage.relations.sums import Sum
from tests.unit.triage.filings import change, find_row, read, record, row

ONE = Decimal(1)


def lines(*amounts: tuple[int, int]) -> list[Line]:
    """Lines that are all added, the nearest first, named by their place."""
    return [(i, 1, (Decimal(a), Decimal(b))) for i, (a, b) in enumerate(amounts)]


@pytest.mark.parametrize(
    ("total", "amounts", "parts"),
    [
        ((5279, 6130), [(1234, 2345), (6513, 8475)], [(0, -1), (1, 1)]),
        (
            (90111, 80222),
            [(4321, 5432), (7654, 8765), (102086, 94419)],
            [(0, -1), (1, -1), (2, 1)],
        ),
        ((30303, 40506), [(30303, 40506), (10101, 20304), (20202, 20202)], [(1, 1), (2, 1)]),
        ((5279, 6131 + 500), [(1234, 2345), (6513, 8475)], None),
        (
            (87654, 76543),
            [(3137, 4253), (1500, 2600), (2000, 2100), (85654, 74443)],
            [(2, 1), (3, 1)],
        ),
        (
            (87654, 76543),
            [(31377, 24253), (1000, 2000), (11579, 22531), (86654, 74543)],
            [(1, 1), (3, 1)],
        ),
    ],
    ids=["another sign", "two other signs", "a subtotal", "one column alone",
         "lines of a small subtotal", "two lines apart"],
)  # fmt: skip
def test_a_few_adjusted_lines_close_the_gap_in_every_column(
    total: tuple[int, int], amounts: list[tuple[int, int]], parts: list[tuple[int, int]] | None
) -> None:
    found = close_total((Decimal(total[0]), Decimal(total[1])), lines(*amounts), ONE, ONE)
    assert (found and found[0]) == parts


def test_a_line_from_elsewhere_closes_the_gap_in_every_column_or_not_at_all() -> None:
    def with_line(*amounts: int) -> list[tuple[int, int]] | None:
        line = DistantLines((9,), (Decimal(amounts[0]), Decimal(amounts[1])))
        total = (Decimal(66543), Decimal(77654))
        found = close_total(total, lines((31111, 41112), (11111, 12222)), ONE, ONE, [line])
        return found[0] if found else None

    assert with_line(24321, 24320) == [(9, 1), (0, 1), (1, 1)]
    assert with_line(24321, 24321) is None


def sum_of(filing: dict[str, Any], statement: int, label: str) -> Sum:
    sheet = statement_views(read(filing))[statement]
    return next(s for s in sheet.sums if sheet.rows[s.total].label == label)


def test_a_statement_with_a_turned_sign_adds_up() -> None:
    filing = record()
    index = change(filing, "cash_flow", "Capital expenditures", 771, 689, 702)
    found = sum_of(filing, 2, "Net cash used in investing activities")
    assert found.pattern == "presented"
    assert (index, -1) in found.parts
    assert not any(found.residuals.values())


def test_a_result_is_drawn_from_totals_whatever_stands_between() -> None:
    filing = record()
    part, index = find_row(filing, "income", "Selling, general and administrative expenses")
    part["rows"][index] = row("Selling expenses", 1000, 901, 877)
    part["rows"].insert(index + 1, row("Total operating expenses", 2673, 2524, 2391))
    found = sum_of(filing, 1, "Operating income")
    assert [sign for _, sign in found.parts] == [1, -1]
    assert index not in {line for line, _ in found.parts}


def test_costs_below_zero_make_a_positive_total() -> None:
    filing = record()
    part, index = find_row(filing, "income", "Cost of goods sold")
    part["rows"][index : index + 2] = [
        row("Cost of goods", -5000, -4800, -4500),
        row("Cost of services", -2431, -2322, -2189),
        row("Total costs", 7431, 7122, 6689),
    ]
    found = sum_of(filing, 1, "Total costs")
    assert [sign for _, sign in found.parts] == [-1, -1]


def test_lines_that_a_chance_sum_took_away_are_given_back() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Cash and cash equivalents")
    part["rows"][index : index + 4] = [
        row("Cash and cash equivalents", 1234, 1081),
        row("Accounts receivable", 2719, 2466),
        row("Receivables from others", 111, 222),
        row("Total receivables", 2830, 2688),
        row("Total current assets", 6894, 6457),
    ]
    found = sum_of(filing, 0, "Total current assets")
    assert [line for line, _ in found.parts] == [index, index + 1, index + 2, index + 3]
    assert not any(found.residuals.values())


def test_a_line_below_its_total_is_a_part_of_it() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Total current assets")
    part["rows"][index - 1 : index + 1] = part["rows"][index - 1 : index + 1][::-1]
    found = sum_of(filing, 0, "Total current assets")
    assert index in {line for line, _ in found.parts}
    assert not any(found.residuals.values())


def test_a_reconciliation_below_the_end_of_cash_is_read_apart() -> None:
    filing = record()
    part = filing["statements"][2]
    part["rows"] += [
        row("Net earnings", 2001, 1902, 1803),
        row("Deferred taxes", 110, 121, 132),
        row("Other adjustments", 15, 16, 17),
        row("Total adjustments", 125, 137, 149),
        row("Net cash provided by operating activities", 2126, 2039, 1952),
    ]
    sheet = statement_views(read(filing))[2]
    last = len(sheet.rows) - 1
    (found,) = [s for s in sheet.sums if s.total == last]
    assert [line for line, _ in found.parts] == [last - 4, last - 1]


@pytest.mark.parametrize(
    "label",
    [
        "Common stock, $1 par value; 500 shares authorized; 219 shares outstanding",
        "Less: Treasury Stock, at Average Cost; 0 shares in 2023 and 203 shares in 2022",
    ],
)
def test_a_class_of_stock_is_money_though_its_label_counts_shares(label: str) -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Common stock")
    part["rows"][index] = row(label, 219, 219)
    part["rows"].insert(index + 1, row("Common shares outstanding", 219, 219))
    part["rows"].insert(index + 2, row("Weighted average shares at average prices", 219, 219))
    sheet = statement_views(read(filing))[0]
    assert index in sheet.money
    assert not {index + 1, index + 2} & {*sheet.money}


def test_a_subtotal_is_a_sum_of_small_amounts() -> None:
    filing = record()
    part, index = find_row(filing, "cash_flow", "Net cash provided by operating activities")
    part["rows"][index:index] = [row("Subtotal", 3, 5, 4)]
    part["rows"][index:index] = [row("Deferred taxes", 1, 3, 1), row("Others", 2, 2, 3)]
    found = sum_of(filing, 2, "Subtotal")
    assert [line for line, _ in found.parts] == [index, index + 1]


def test_a_sum_to_the_last_digit_is_preferred_to_a_rounded_one() -> None:
    filing = record()
    part, index = find_row(filing, "balance_sheet", "Accounts payable")
    part["rows"].insert(index, row("Short-term borrowings", 0, 1))
    _, total = find_row(filing, "balance_sheet", "Total current liabilities")
    part["rows"][total]["values"][1] += 1_000_000
    found = sum_of(filing, 0, "Total current liabilities")
    assert [line for line, _ in found.parts] == [index, index + 1, index + 2]
    assert not any(found.residuals.values())


def test_basic_below_weighted_average_shares_counts_shares() -> None:
    filing = record()
    part = filing["statements"][1]
    first = len(part["rows"])
    part["rows"] += [
        {"label": "Basic", "values": [204_123_456] * 3},
        {"label": "Weighted average shares outstanding:", "values": [None] * 3},
        {"label": "Basic", "values": [204_123_456] * 3},
        {"label": "Diluted", "values": [205_123_456] * 3},
        {"label": "Diluted", "values": [205_123_456] * 3, "unit": "USD"},
        {"label": "Dividends", "values": [205_123_456] * 3},
    ]
    money = statement_views(read(filing))[1].money
    assert [row - first for row in money if row >= first] == [0, 4, 5]
