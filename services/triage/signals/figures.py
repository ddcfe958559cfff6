"""The figures that ratios are made of: which line has them, and which columns belong together.

A line is told by its label: what companies call it was learned (`peers.py`), from labels alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Literal

from services.triage.experience import bare
from services.triage.identities import begins, ends
from services.triage.relations import Cell, Sheet, sheets
from services.triage.statements import Column, Filing

Length = Literal["year", "part"]
"""Of the period: a year, or one to three quarters of it."""
Name = Callable[[str, str], str]
"""What figure a label stands for: statement and label -> figure, empty if none."""

STATEMENT_OF = {
    "revenue": "income",
    "cost": "income",
    "gross_profit": "income",
    "overheads": "income",
    "selling": "income",
    "administration": "income",
    "operating_income": "income",
    "net_income": "income",
    "depreciation": "cash_flow",
    "operating_cash": "cash_flow",
    "assets": "balance_sheet",
    "current_assets": "balance_sheet",
    "current_liabilities": "balance_sheet",
    "liabilities": "balance_sheet",
    "receivables": "balance_sheet",
    "inventories": "balance_sheet",
    "property": "balance_sheet",
    "long_term_debt": "balance_sheet",
}
"""Where each figure stands."""
WITHOUT_SIGN = frozenset({"cost", "overheads", "selling", "administration", "depreciation"})
"""Costs, which companies print with or without a minus."""
FIRST = frozenset({"net_income"})
"""Figures of which the first line counts; of others the largest, for a total is among its parts."""
YEAR = range(340, 391)
"""Days between two ends that are a year apart, with 52 or 53 weeks."""


@dataclass(frozen=True)
class Figure:
    """One amount of a filing, in whole units, and the cell that has it."""

    name: str
    value: Decimal
    cell: Cell


@dataclass(frozen=True)
class Period:
    """One period of a filing: the columns of each statement that are about it."""

    end: date
    quarters: int
    columns: tuple[tuple[int, int], ...]
    """Statement and column, the balance at its end among them."""

    @property
    def length(self) -> Length:
        """Whether it is a year."""
        return "year" if self.quarters == 4 else "part"


@dataclass(frozen=True)
class Books:
    """A filing by figures and periods, the latest and longest first."""

    pages: tuple[Sheet, ...]
    periods: tuple[Period, ...]
    lines: dict[str, tuple[Cell, ...]]
    """Figure -> the lines that may have it, as cells of their first column."""

    @classmethod
    def of(cls, filing: Filing, name: Name) -> Books:
        """Read a filing."""
        pages = tuple(sheets(filing))
        return cls(pages, tuple(_periods(pages)), _lines(pages, name))

    @cached_property
    def _by_day(self) -> dict[tuple[int, int], Period]:
        return {(period.quarters, period.end.toordinal()): period for period in self.periods}

    def figure(self, name: str, period: Period) -> Figure | None:
        """A figure of a period; None if no line has it."""
        found = [
            Figure(name, abs(value) if name in WITHOUT_SIGN else value, cell)
            for cell in self._cells(name, period)
            if (value := self.pages[cell.statement].value(cell.row, cell.column)) is not None
        ]
        if name in FIRST:
            return found[0] if found else None
        return max(found, key=lambda figure: abs(figure.value), default=None)

    def year_before(self, period: Period) -> Period | None:
        """The period of the same length a year earlier; None if the filing doesn't show it."""
        end = period.end.toordinal()
        found = (self._by_day.get((period.quarters, end - days)) for days in YEAR)
        return next((other for other in found if other), None)

    def _cells(self, name: str, period: Period) -> Iterator[Cell]:
        columns = dict(reversed(period.columns))  # the first of two of one period
        for line in self.lines.get(name, ()):
            if line.statement in columns:
                yield Cell(line.statement, line.row, columns[line.statement])


def _lines(pages: Sequence[Sheet], name: Name) -> dict[str, tuple[Cell, ...]]:
    found: dict[str, list[Cell]] = {}
    for page in pages:
        kind = page.statement.statement
        for row in page.money:
            if figure := name(kind, bare(page.rows[row].label)):
                found.setdefault(figure, []).append(Cell(page.index, row, 0))
    return {figure: tuple(cells) for figure, cells in found.items()}


def _periods(pages: Sequence[Sheet]) -> Iterator[Period]:
    """Periods of the income statement or the cash flows, with the balance at their ends."""
    of: dict[tuple[date, int], list[tuple[int, int]]] = {}
    moments: dict[date, tuple[int, int]] = {}
    for page in pages:
        kind, yearly = page.statement.statement, _shows_years(page)
        for at, column in enumerate(page.statement.columns):
            end = ends(column)
            if end is None:
                continue
            if kind == "balance_sheet":
                moments.setdefault(end, (page.index, at))
            elif kind in ("income", "cash_flow") and (length := quarters_of(column, yearly)):
                of.setdefault((end, length), []).append((page.index, at))
    for (end, length), columns in sorted(of.items(), reverse=True):
        balance = (moments[end],) if end in moments else ()
        yield Period(end, length, (*columns, *balance))


def quarters_of(column: Column, yearly: bool) -> int | None:
    """How many quarters a column is about; without a word of it a year, where its statement shows
    years.
    """
    end, start = ends(column), begins(column)
    if column.quarters:
        return column.quarters
    if end and start:
        return round((end - start).days / 91.3) or None
    return 4 if yearly else None


def _shows_years(page: Sheet) -> bool:
    """Whether three columns or more end a year apart: a quarterly report shows two."""
    days = sorted({day for c in page.statement.columns if (day := ends(c))})
    apart = [(later - sooner).days in YEAR for sooner, later in pairwise(days)]
    alone = len(days) == len(page.statement.columns)
    return len(apart) > 1 and all(apart) and alone
