"""The number of shares that net income and earnings per share imply.

A filing entirely in a wrong unit breaks no sum. But earnings per share are printed in whole units,
so the implied number of shares is plausible only in the right unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage.domain import Finding
from services.triage.explanations import Explanation, Reason
from services.triage.relations import labels
from services.triage.relations.message_format import money
from services.triage.relations.relations import StatementView, Views
from services.triage.relations.statement_rows import ZERO
from services.triage.statements.model import MAX_SENTENCE, format_day, truncate
from services.triage.statements.named_cells import NamedCell

FEWEST, MOST = Decimal(100_000), Decimal(10) ** 12  # shares that a company has
ORDINARY = Decimal(100)  # largest earnings per share that count: a few shares earn more each
USUAL = (Decimal(10) ** 6, Decimal(10) ** 11)  # shares that most companies have
CONFIDENCE = 0.95  # confidence of such a finding; the card of triage-breaks has its false alarms

ROUNDED = Decimal("0.005")  # rounding of printed earnings per share: half a cent

_NO_EARNINGS = re.compile(r"dividend|distribution|declared|book value|price")


@dataclass(frozen=True)
class _Odd:
    """A column in which every pair implies an impossible number of shares."""

    column: int
    income: int
    per_share: int  # rows of the first pair
    shares: Decimal


def unit_findings(views: Views) -> Iterator[Finding]:
    """Yield a finding for each income statement whose unit earnings per share refute."""
    for view in views:
        if view.kind == "income":
            lines = _per_share(view)
            judged = [
                column_result
                for column in range(view.width)
                for column_result in _of(view, column, lines)
            ]
            odd = [result for result in judged if result is not None]
            if odd:
                yield _finding(views, view, odd, len(judged) == len(odd))


def implied_shares(view: StatementView, column: int) -> list[Decimal]:
    """The shares that each pair of net income and earnings per share implies."""
    incomes, earnings = _amounts(view, column, _per_share(view))
    return [income / each for income, _ in incomes for each, _ in earnings]


_Amounts = list[tuple[Decimal, int]]  # amounts above zero, with their rows


def _amounts(
    view: StatementView, column: int, per_share: Sequence[int]
) -> tuple[_Amounts, _Amounts]:
    """Net incomes and earnings per share of a column, without signs."""
    incomes, earnings = (
        [(abs(value), row) for row in rows if (value := view.value(row, column))]
        for rows in (view.roles("net_income"), per_share)
    )
    return incomes, [(each, row) for each, row in earnings if each <= ORDINARY]


def _of(view: StatementView, column: int, per_share: Sequence[int]) -> Iterator[_Odd | None]:
    """The odd column, None for a plausible one, nothing if it cannot be judged."""
    incomes, earnings = _amounts(view, column, per_share)
    if not incomes or not earnings:
        return
    smallest = min(earnings)[0] - ROUNDED
    if smallest <= 0:
        return  # a rounded cent may be any fraction
    most = max(incomes)[0] / smallest
    least = min(incomes)[0] / (max(earnings)[0] + ROUNDED)
    (income, of), (each, by) = incomes[0], earnings[0]
    yield _Odd(column, of, by, income / each) if most < FEWEST or least > MOST else None


def _per_share(view: StatementView) -> list[int]:
    """The rows of earnings per share."""
    money = set(view.money)
    return [
        row
        for row, line in enumerate(view.rows)
        if row not in money
        and labels.is_per_share(line.label)
        and not labels.counts_shares(line.label)
        and not _NO_EARNINGS.search(labels.normalise(line.label))
        and (line.unit or "").lower() not in ("shares", "pure")
    ]


def _finding(views: Views, view: StatementView, odd: Sequence[_Odd], every_column: bool) -> Finding:
    first, name = odd[0], view.kind
    income, per_share = (view.rows[row] for row in (first.income, first.per_share))
    amount, each = (line.values[first.column] or ZERO for line in (income, per_share))
    factor = _factor(first.shares)
    off = f"{factor:,f} times too small" if factor > 1 else f"{1 / factor:,f} times too large"
    end = view.statement.columns[first.column].end
    when = f" ({format_day(end)})" if end else ""
    where = "every column" if every_column else f"{len(odd)} of {view.width} columns"
    message = (
        f"{income.label!r}{when} is {money(amount)} and {per_share.label!r} is {money(each)}, "
        f"which implies {_count(first.shares)} shares: no company has so "
        f"{'few' if factor > 1 else 'many'}. In {where} the amounts look {off}: corrected, they "
        f"imply {_count(first.shares * factor)} shares. "
        f"{_assets(views)}"
    )
    explanation = Explanation(
        likely_cause=Reason("unit", "the unit of the page (thousands, millions) was missed")
    )
    cells = tuple(
        NamedCell.at(view.statement, row, column.column)
        for column in odd
        for row in (column.income, column.per_share)
    )
    return Finding(
        check="implied_shares",
        severity="high",
        confidence=CONFIDENCE,
        statement=name,
        column=None if every_column else first.column,
        row=None,
        rows=tuple(sorted({row for column in odd for row in (column.income, column.per_share)})),
        label=None,
        reported=amount,
        expected=amount * factor,
        message=truncate(explanation.message(message.rstrip()), MAX_SENTENCE),
        explanation=explanation,
        cells=cells,
        page=next((cell.position.page for cell in cells if cell.position), None),
        end=None if every_column else end,
    )


def _factor(shares: Decimal) -> Decimal:
    """The least power of a thousand that makes a usual number of shares."""
    low, high = USUAL
    factor = Decimal(1)
    while shares * factor < low:
        factor *= 1_000
    while shares * factor > high:
        factor /= 1_000
    return factor


def _count(shares: Decimal) -> str:
    return f"{shares.to_integral_value():,f}"


def _assets(views: Views) -> str:
    """Total assets in words, to judge whether the whole filing is in that unit."""
    for view in views:
        row = view.first("total_assets") if view.kind == "balance_sheet" else None
        value = None if row is None else next((v for v in view.rows[row].values if v), None)
        if value:
            return f"Total assets are {money(value)}. "
    return ""
