"""The number of shares that net income and earnings per share make: no company has a few hundred.

Every amount of a filing in the same wrong unit breaks no sum. Earnings per share alone are printed
in whole units whatever the unit of the page, so net income divided by them is the number of shares
only in the right unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage import labels
from services.triage.domain import Finding, NamedCell
from services.triage.relations import Sheet
from services.triage.statements import MAX_SENTENCE, quoted
from services.triage.sums import ZERO
from services.triage.wording import money

FEWEST, MOST = Decimal(100_000), Decimal(10) ** 12
"""Shares between which companies have theirs: beyond is another unit."""
ORDINARY = Decimal(100)
"""Earnings a share up to which a column counts: companies with few shares earn more on each."""
USUAL = (Decimal(10) ** 6, Decimal(10) ** 11)
"""Shares that most companies have, by which the factor is told."""
CONFIDENCE = 0.95
"""Of such a finding: how seldom sound filings raise one is in the card of triage-breaks."""

ROUNDED = Decimal("0.005")
"""By which earnings a share may differ from what is printed: half a cent."""

_NO_EARNINGS = re.compile(r"dividend|distribution|declared|book value|price")


@dataclass(frozen=True)
class _Odd:
    """A column in which every pair makes a number of shares that no company has."""

    column: int
    income: int
    per_share: int
    """Rows of the first pair."""
    shares: Decimal


def findings_of(pages: Sequence[Sheet]) -> Iterator[Finding]:
    """Yield one finding for each income statement whose unit earnings per share refute."""
    for sheet in pages:
        if sheet.statement.statement == "income":
            lines = _per_share(sheet)
            judged = [found for column in range(sheet.width) for found in _of(sheet, column, lines)]
            odd = [one for one in judged if one is not None]
            if odd:
                yield _finding(pages, sheet, odd, len(judged) == len(odd))


def implied(sheet: Sheet, column: int) -> list[Decimal]:
    """The shares that each net income and each earnings a share of a column make."""
    incomes, earnings = _amounts(sheet, column, _per_share(sheet))
    return [income / each for income, _ in incomes for each, _ in earnings]


_Amounts = list[tuple[Decimal, int]]
"""Amounts above zero, with their rows."""


def _amounts(sheet: Sheet, column: int, per_share: Sequence[int]) -> tuple[_Amounts, _Amounts]:
    """Net incomes and earnings a share of a column, without their signs."""
    incomes, earnings = (
        [(abs(value), row) for row in rows if (value := sheet.value(row, column))]
        for rows in (sheet.roles("net_income"), per_share)
    )
    return incomes, [(each, row) for each, row in earnings if each <= ORDINARY]


def _of(sheet: Sheet, column: int, per_share: Sequence[int]) -> Iterator[_Odd | None]:
    """What a column makes; None where it makes what companies have, nothing where it can't tell."""
    incomes, earnings = _amounts(sheet, column, per_share)
    if not incomes or not earnings:
        return
    smallest = min(earnings)[0] - ROUNDED
    if smallest <= 0:
        return  # a cent a share or less may be any part of one
    most = max(incomes)[0] / smallest
    least = min(incomes)[0] / (max(earnings)[0] + ROUNDED)
    (income, of), (each, by) = incomes[0], earnings[0]
    yield _Odd(column, of, by, income / each) if most < FEWEST or least > MOST else None


def _per_share(sheet: Sheet) -> list[int]:
    """The rows of earnings per share."""
    money = set(sheet.money)
    return [
        row
        for row, line in enumerate(sheet.rows)
        if row not in money
        and labels.is_per_share(line.label)
        and not labels.counts_shares(line.label)
        and not _NO_EARNINGS.search(labels.normalise(line.label))
        and (line.unit or "").lower() not in ("shares", "pure")
    ]


def _finding(pages: Sequence[Sheet], sheet: Sheet, odd: Sequence[_Odd], whole: bool) -> Finding:
    first, name = odd[0], sheet.statement.statement
    income, per_share = (sheet.rows[row] for row in (first.income, first.per_share))
    amount, each = (line.values[first.column] or ZERO for line in (income, per_share))
    factor = _factor(first.shares)
    off = f"{factor:,f} times too small" if factor > 1 else f"{1 / factor:,f} times too large"
    end = sheet.statement.columns[first.column].end
    when = f" ({end[:4]}-{end[4:6]}-{end[6:]})" if end else ""
    where = "every column" if whole else f"{len(odd)} of {sheet.width} columns"
    message = (
        f"{income.label!r}{when} is {money(amount)} and {per_share.label!r} is {money(each)}, "
        f"which makes {_count(first.shares)} shares: no company has so "
        f"{'few' if factor > 1 else 'many'}. In {where} the amounts look {off}, "
        f"for that makes {_count(first.shares * factor)} shares. "
        f"{_assets(pages)}Likeliest cause: the unit of the page (thousands, millions) is missed."
    )
    cells = tuple(
        NamedCell(name, row, one.column, sheet.rows[row].label, sheet.rows[row].place(one.column))
        for one in odd
        for row in (one.income, one.per_share)
    )
    return Finding(
        check="implied_shares",
        severity="high",
        confidence=CONFIDENCE,
        statement=name,
        column=None if whole else first.column,
        row=None,
        rows=tuple(sorted({row for one in odd for row in (one.income, one.per_share)})),
        label=None,
        reported=amount,
        expected=amount * factor,
        message=quoted(message, MAX_SENTENCE),
        cells=cells,
        page=next((cell.place.page for cell in cells if cell.place), None),
        end=None if whole else end,
    )


def _factor(shares: Decimal) -> Decimal:
    """The least power of a thousand that makes a usual number of shares of it."""
    low, high = USUAL
    factor = Decimal(1)
    while shares * factor < low:
        factor *= 1_000
    while shares * factor > high:
        factor /= 1_000
    return factor


def _count(shares: Decimal) -> str:
    return f"{shares.to_integral_value():,f}"


def _assets(pages: Sequence[Sheet]) -> str:
    """What total assets are, for whoever looks whether the whole filing is in that unit."""
    for sheet in pages:
        row = sheet.first("total_assets") if sheet.statement.statement == "balance_sheet" else None
        value = None if row is None else next((v for v in sheet.rows[row].values if v), None)
        if value:
            return f"Total assets are {money(value)}. "
    return ""
