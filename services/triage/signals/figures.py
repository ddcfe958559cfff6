"""The figures that ratios need: their lines, and the columns of a period.

A line is recognised by its label; `peers.py` has the labels that companies use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Literal

from services.triage.relations.identities import begins, ends
from services.triage.relations.learned_sums import label_words
from services.triage.relations.relations import Cell, StatementView, Views, statement_views
from services.triage.statements.model import Column, Filing

Length = Literal["year", "part"]  # a year, or one to three quarters
Name = Callable[[str, str], str]  # statement and label -> figure, empty if none

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
"""The statement of each figure."""
WITHOUT_SIGN = frozenset({"cost", "overheads", "selling", "administration", "depreciation"})
"""Costs, which companies print with or without a minus."""
FIRST = frozenset({"net_income"})  # the first line counts; of other figures the largest
YEAR = range(340, 391)  # days between two ends that are a year apart, for years of 52 or 53 weeks


@dataclass(frozen=True)
class Figure:
    """One amount of a filing, in whole units, and its cell."""

    name: str
    value: Decimal
    cell: Cell


@dataclass(frozen=True)
class Period:
    """One period of a filing: its columns in each statement."""

    end: date
    quarters: int
    columns: tuple[tuple[int, int], ...]  # statement and column, including the balance at its end

    @property
    def length(self) -> Length:
        return "year" if self.quarters == 4 else "part"


@dataclass(frozen=True)
class FilingFigures:
    """A filing by figures and periods, the latest and longest first."""

    views: tuple[StatementView, ...]
    periods: tuple[Period, ...]
    lines: dict[str, tuple[Cell, ...]]  # cells of the first column, by figure

    @classmethod
    def of(cls, filing: Filing, name: Name) -> FilingFigures:
        views = tuple(statement_views(filing))
        return cls(views, tuple(_periods(views)), _lines(views, name))

    @cached_property
    def _by_day(self) -> dict[tuple[int, int], Period]:
        return {(period.quarters, period.end.toordinal()): period for period in self.periods}

    def figure(self, name: str, period: Period) -> Figure | None:
        """A figure of a period; None if no line has it."""
        figures = [
            Figure(name, abs(value) if name in WITHOUT_SIGN else value, cell)
            for cell in self._cells(name, period)
            if (value := self.views[cell.statement].value(cell.row, cell.column)) is not None
        ]
        if name in FIRST:
            return figures[0] if figures else None
        return max(figures, key=lambda figure: abs(figure.value), default=None)

    def year_before(self, period: Period) -> Period | None:
        """The period of the same length a year earlier, or None."""
        end = period.end.toordinal()
        periods = (self._by_day.get((period.quarters, end - days)) for days in YEAR)
        return next((other for other in periods if other), None)

    def _cells(self, name: str, period: Period) -> Iterator[Cell]:
        columns = dict(reversed(period.columns))  # the first of two with one period
        for line in self.lines.get(name, ()):
            if line.statement in columns:
                yield Cell(line.statement, line.row, columns[line.statement])


def _lines(views: Views, name: Name) -> dict[str, tuple[Cell, ...]]:
    lines: dict[str, list[Cell]] = {}
    for view in views:
        kind = view.kind
        for row in view.money:
            if figure := name(kind, label_words(view.rows[row].label)):
                lines.setdefault(figure, []).append(Cell(view.index, row, 0))
    return {figure: tuple(cells) for figure, cells in lines.items()}


def _periods(views: Views) -> Iterator[Period]:
    """Periods of the income statement or the cash flows, with the balance at their ends."""
    of: dict[tuple[date, int], list[tuple[int, int]]] = {}
    moments: dict[date, tuple[int, int]] = {}
    for view in views:
        kind, yearly = view.kind, _shows_years(view)
        for at, column in enumerate(view.statement.columns):
            end = ends(column)
            if end is None:
                continue
            if kind == "balance_sheet":
                moments.setdefault(end, (view.index, at))
            elif kind in ("income", "cash_flow") and (length := quarters_of(column, yearly)):
                of.setdefault((end, length), []).append((view.index, at))
    for (end, length), columns in sorted(of.items(), reverse=True):
        balance = (moments[end],) if end in moments else ()
        yield Period(end, length, (*columns, *balance))


def quarters_of(column: Column, yearly: bool) -> int | None:
    """The quarters of a column; a year if unknown in a statement of years."""
    end, start = ends(column), begins(column)
    if column.quarters:
        return column.quarters
    if end and start:
        return round((end - start).days / 91.3) or None
    return 4 if yearly else None


def _shows_years(view: StatementView) -> bool:
    """Whether three or more columns end a year apart; quarterly reports show two."""
    days = sorted({day for c in view.statement.columns if (day := ends(c))})
    apart = [(later - sooner).days in YEAR for sooner, later in pairwise(days)]
    alone = len(days) == len(view.statement.columns)
    return len(apart) > 1 and all(apart) and alone
