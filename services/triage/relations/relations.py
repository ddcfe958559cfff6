"""Relations between the cells of a filing, where they hold and where they break.

A relation is a row of coefficients over lines (`total - part - part = 0`), tried in every column.
`sums.py` finds those inside a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from services.triage.relations import labels
from services.triage.relations.sums import ZERO, Sum, find_sums, tolerance
from services.triage.statements.model import Filing, Row, Statement

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


@dataclass
class StatementView:
    """A statement prepared for checks, with cached look-ups."""

    index: int
    statement: Statement
    _roles: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        return self.statement.statement

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return self.statement.rows

    @cached_property
    def width(self) -> int:
        return len(self.statement.columns)

    @cached_property
    def unit(self) -> Decimal:
        """The unit of the page: the power of ten that divides nine of ten amounts."""
        values = [abs(v) for row in self.rows for v in row.values if v and not _small(row)]
        unit = Decimal(1)
        for power in range(1, 10):
            step = Decimal(10) ** power
            if sum(v % step == 0 for v in values) < 0.9 * len(values):
                break
            unit = step
        return unit if values else Decimal(1)

    @cached_property
    def money(self) -> tuple[int, ...]:
        """Rows of money: no shares, amounts per share or ratios, and not empty.

        Below a heading of share counts, a line per share without a unit counts shares.
        """
        rows: list[int] = []
        of_shares = False
        for i, row in enumerate(self.rows):
            if all(value is None for value in row.values):
                of_shares = labels.counts_shares(row.label)
            elif _is_money(row) and not (
                of_shares and not row.unit and labels.is_per_share(row.label)
            ):
                rows.append(i)
        return tuple(rows)

    @cached_property
    def last_of_cash(self) -> int | None:
        """The last row of the cash flow statement proper; lines below it are read apart."""
        return self.last("ending") if self.kind == "cash_flow" else None

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Lines that are sums of lines above them."""
        return tuple(find_sums(self))

    def value(self, row: int, column: int) -> Decimal | None:
        return self.rows[row].values[column]

    @cached_property
    def amounts(self) -> tuple[tuple[Decimal, ...], ...]:
        """Every row's cells, empty ones as 0."""
        return tuple(tuple(v if v is not None else ZERO for v in row.values) for row in self.rows)

    @cached_property
    def filled(self) -> tuple[tuple[int, ...], ...]:
        """The columns in which each row has an amount."""
        filled = ((c for c, v in enumerate(row.values) if v is not None) for row in self.rows)
        return tuple(map(tuple, filled))

    def roles(self, role: str) -> list[int]:
        """Rows of money that fit a role."""
        if role not in self._roles:
            money = set(self.money)
            rows = labels.role_rows(self.statement, role)
            self._roles[role] = [row for row in rows if row in money]
        return self._roles[role]

    def first(self, role: str) -> int | None:
        return next(iter(self.roles(role)), None)

    def last(self, role: str) -> int | None:
        return next(reversed(self.roles(role)), None)


Views = Sequence[StatementView]  # of a filing


def statement_views(filing: Filing) -> list[StatementView]:
    """The statements of a filing, prepared for checks."""
    return [StatementView(i, statement) for i, statement in enumerate(filing.statements)]


def _small(row: Row) -> bool:
    return any(v % 1 for v in row.values if v) and max(abs(v) for v in row.values if v) < 10**5


def _is_money(row: Row) -> bool:
    present = [v for v in row.values if v is not None]
    if not present or row.heading:
        return False
    unit = (row.unit or "").lower()
    if "share" in unit or unit in ("pure", "percent", "%"):
        return False
    if labels.counts_shares(row.label):
        return False
    largest = max(abs(v) for v in present)
    if labels.is_per_share(row.label) and (largest < 10**5 or any(v % 1 for v in present)):
        return False
    return not _small(row)


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
