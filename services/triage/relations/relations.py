"""Relations between the cells of a filing, where they hold and where they break.

A relation is a row of coefficients over lines (`total - part - part = 0`), tried in every column.
`sums.py` finds those inside a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from services.triage.relations.statement_rows import StatementRows
from services.triage.relations.sums import Sum, find_sums, tolerance
from services.triage.statements.model import Filing

NEAR = 5  # a break within this many tolerances needs a column in which the relation holds exactly


@dataclass(frozen=True, order=True)
class Cell:
    """A cell of a filing: indices into its own arrays."""

    statement: int
    row: int
    column: int


@dataclass(frozen=True)
class Equation:
    """One relation in one column, or between two: the sum of `coefficient * cell` should be 0.

    The first term is the total (or the compared side), with coefficient 1.
    """

    check: str
    terms: tuple[tuple[Cell, int], ...]
    residual: Decimal
    tolerance: Decimal
    support: int  # other columns in which the relation holds
    pattern: str = "plain"  # `plain`, or `signs` where the signs had to be searched
    digits: float = 0.0  # decimal digits in which the relation agrees where it holds
    exact: bool = True  # whether it holds to the last digit in another column

    @property
    def relation(self) -> object:
        """The key that the equations of one relation share."""
        return self.check, tuple((c.statement, c.row, factor) for c, factor in self.terms)

    @property
    def holds(self) -> bool:
        """Whether it adds up within rounding."""
        return abs(self.residual) <= self.tolerance

    @property
    def may_be_chance(self) -> bool:
        """Whether it misses by little and holds nowhere exactly."""
        return not self.exact and abs(self.residual) <= NEAR * self.tolerance


class StatementView(StatementRows):
    """A statement prepared for checks: its rows and its sums."""

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Lines that are sums of lines above them."""
        return tuple(find_sums(self))


Views = Sequence[StatementView]  # of a filing


def statement_views(filing: Filing) -> list[StatementView]:
    """The statements of a filing, prepared for checks."""
    return [StatementView(i, statement) for i, statement in enumerate(filing.statements)]


def sum_equations(view: StatementView, total: Sum, check: str) -> list[Equation]:
    """The equation of a sum in every column where it can be tried."""
    limit = tolerance(view.unit, len(total.parts))
    holding = sum(abs(r) <= limit for r in total.residuals.values())
    result = []
    for column, residual in total.residuals.items():
        terms = tuple((Cell(view.index, row, column), factor) for row, factor in total.terms)
        exact = any(not r for other, r in total.residuals.items() if other != column)
        support = holding - (abs(residual) <= limit)
        facts = (support, total.pattern, total.digits, exact)
        result.append(Equation(check, terms, residual, limit, *facts))
    return result


def compare_cells(
    check: str, pairs: Iterable[tuple[StatementView, Cell, StatementView, Cell]], unit: Decimal
) -> list[Equation]:
    """Equations that pairs of cells show the same amount."""
    differences = []
    for left, one, right, other in pairs:
        a, b = left.value(one.row, one.column), right.value(other.row, other.column)
        if a is not None and b is not None:
            differences.append((one, other, a - b))
    holding = sum(abs(difference) <= unit for *_, difference in differences)
    return [
        Equation(check, ((one, 1), (other, -1)), difference, unit,
                 holding - (abs(difference) <= unit))
        for one, other, difference in differences
    ]  # fmt: skip
