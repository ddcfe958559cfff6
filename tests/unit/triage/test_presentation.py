"""Sums whose parts a page presents otherwise than they are added."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from services.triage.presentation import Elsewhere, Line, closed
from services.triage.relations import Sheet, sheets
from services.triage.sums import Sum
from tests.unit.triage.filings import find_row, read, record, row

ONE = Decimal(1)


def lines(*amounts: tuple[int, int]) -> list[Line]:
    """Lines that are all added, the nearest first, named by their place."""
    return [(i, 1, (Decimal(a), Decimal(b))) for i, (a, b) in enumerate(amounts)]


def made(total: tuple[int, int], *amounts: tuple[int, int]) -> list[tuple[int, int]] | None:
    """The parts that make up a total of two columns."""
    found = closed((Decimal(total[0]), Decimal(total[1])), lines(*amounts), ONE, ONE)
    return found[0] if found else None


def test_a_line_with_the_other_sign_closes_the_gap() -> None:
    """A payment that is shown without its minus is subtracted in both columns."""
    assert made((5279, 6130), (1234, 2345), (6513, 8475)) == [(0, -1), (1, 1)]


def test_two_lines_with_the_other_sign_close_the_gap() -> None:
    """Two payments at once, neither of which closes it alone."""
    parts = made((90111, 80222), (4321, 5432), (7654, 8765), (102086, 94419))
    assert parts == [(0, -1), (1, -1), (2, 1)]


def test_a_subtotal_among_the_lines_is_left_out() -> None:
    """Lines and their subtotal: the subtotal is no part."""
    assert made((30303, 40506), (30303, 40506), (10101, 20304), (20202, 20202)) == [(1, 1), (2, 1)]


def test_what_closes_one_column_alone_closes_nothing() -> None:
    """The second column is off by something else."""
    assert made((5279, 6131 + 500), (1234, 2345), (6513, 8475)) is None


def test_lines_of_a_small_subtotal_are_left_out_together() -> None:
    """Impairments and the part of them that counts elsewhere stand above their net amount."""
    parts = made((87654, 76543), (3137, 4253), (1500, 2600), (2000, 2100), (85654, 74443))
    assert parts == [(2, 1), (3, 1)]


def test_two_lines_apart_are_left_out() -> None:
    """Neither closes the gap alone, nor do they stand one after the other."""
    parts = made((87654, 76543), (31377, 24253), (1000, 2000), (11579, 22531), (86654, 74543))
    assert parts == [(1, 1), (3, 1)]


def test_a_line_from_elsewhere_closes_the_gap_in_every_column_or_not_at_all() -> None:
    """An extract has it below the total; the gap is its amount to the last digit."""

    def with_line(*amounts: int) -> list[tuple[int, int]] | None:
        line = Elsewhere((9,), (Decimal(amounts[0]), Decimal(amounts[1])))
        total = (Decimal(66543), Decimal(77654))
        found = closed(total, lines((31111, 41112), (11111, 12222)), ONE, ONE, [line])
        return found[0] if found else None

    assert with_line(24321, 24320) == [(9, 1), (0, 1), (1, 1)]
    assert with_line(24321, 24321) is None


def sum_of(filing: dict[str, Any], statement: int, label: str) -> Sum | None:
    """The sum that a line was found to be."""
    sheet: Sheet = sheets(read(filing))[statement]
    return next((s for s in sheet.sums if sheet.rows[s.total].label == label), None)


def test_a_statement_with_a_turned_sign_adds_up() -> None:
    """Capital expenditures without a minus in every year: a matter of presentation."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "cash_flow", "Capital expenditures")
    part["rows"][index] = row("Capital expenditures", 771, 689, 702)
    total = next(
        r["label"] for r in part["rows"][index:] if r["label"].startswith("Net cash used in invest")
    )
    found = sum_of(filing, 2, total)
    assert found is not None
    assert found.pattern == "presented"
    assert (index, -1) in found.parts
    assert not any(found.residuals.values())


def test_a_result_is_drawn_from_totals_whatever_stands_between() -> None:
    """A total whose lines are not all there still makes the result below it."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Selling, general and administrative expenses")
    part["rows"][index] = row("Selling expenses", 1000, 901, 877)
    part["rows"].insert(index + 1, row("Total operating expenses", 2673, 2524, 2391))
    found = sum_of(filing, 1, "Operating income")
    assert found is not None
    assert [sign for _, sign in found.parts] == [1, -1]
    assert index not in {line for line, _ in found.parts}


def test_costs_below_zero_make_a_positive_total() -> None:
    """Each cost has a minus, their total has none."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "income", "Cost of goods sold")
    part["rows"][index : index + 2] = [
        row("Cost of goods", -5000, -4800, -4500),
        row("Cost of services", -2431, -2322, -2189),
        row("Total costs", 7431, 7122, 6689),
    ]
    found = sum_of(filing, 1, "Total costs")
    assert found is not None
    assert [sign for _, sign in found.parts] == [-1, -1]


def test_lines_that_a_chance_sum_took_away_are_given_back() -> None:
    """Other items, net, happen to be what the lines above them make, and are a line like them."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Cash and cash equivalents")
    part["rows"][index : index + 4] = [
        row("Cash and cash equivalents", 1234, 1081),
        row("Accounts receivable", 2719, 2466),
        row("Receivables from others", 111, 222),
        row("Total receivables", 2830, 2688),
        row("Total current assets", 6894, 6457),
    ]
    found = sum_of(filing, 0, "Total current assets")
    assert found is not None
    assert [line for line, _ in found.parts] == [index, index + 1, index + 2, index + 3]
    assert not any(found.residuals.values())


def test_a_line_below_its_total_is_a_part_of_it() -> None:
    """An extract that shows a line after its total, which holds with it in every column."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Total current assets")
    part["rows"][index - 1 : index + 1] = part["rows"][index - 1 : index + 1][::-1]
    found = sum_of(filing, 0, "Total current assets")
    assert found is not None
    assert index in {line for line, _ in found.parts}
    assert not any(found.residuals.values())


def test_a_reconciliation_below_the_end_of_cash_is_read_apart() -> None:
    """Companies that show cash received and paid reconcile it with net income at the end."""
    filing = copy.deepcopy(record())
    part = filing["statements"][2]
    part["rows"] += [
        row("Net earnings", 2001, 1902, 1803),
        row("Deferred taxes", 110, 121, 132),
        row("Other adjustments", 15, 16, 17),
        row("Total adjustments", 125, 137, 149),
        row("Net cash provided by operating activities", 2126, 2039, 1952),
    ]
    sheet = sheets(read(filing))[2]
    last = len(sheet.rows) - 1
    (found,) = [s for s in sheet.sums if s.total == last]
    assert [line for line, _ in found.parts] == [last - 4, last - 1]


def test_a_class_of_stock_is_money_though_its_label_counts_shares() -> None:
    """Its label says in passing how many shares are outstanding; a number of shares is none."""
    filing = copy.deepcopy(record())
    part, index = find_row(filing, "balance_sheet", "Common stock")
    label = "Common stock, $1 par value; 500 shares authorized; 219 shares outstanding"
    part["rows"][index] = row(label, 219, 219)
    part["rows"].insert(index + 1, row("Common shares outstanding", 219, 219))
    sheet = sheets(read(filing))[0]
    assert index in sheet.money
    assert index + 1 not in sheet.money


def test_basic_below_weighted_average_shares_counts_shares() -> None:
    """Where no unit says so; with a unit of money, and without such a heading, it is money."""
    filing = copy.deepcopy(record())
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
    money = sheets(read(filing))[1].money
    assert [row - first for row in money if row >= first] == [0, 4, 5]
