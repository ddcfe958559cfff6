"""Relations between the cells of a filing: what should add up, where it holds, and where it
breaks.

A relation is a row of coefficients over lines (`total - part - part = 0`) and is tried in every
column. `sums.py` finds those inside a statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from services.triage import labels
from services.triage.statements import Filing, Row, Statement
from services.triage.sums import ZERO, Sum, find_sums, tolerance

NEAR = 5
"""Times the tolerance within which a break needs a column in which the relation holds exactly."""


@dataclass(frozen=True, order=True)
class Cell:
    """A place in a filing: indices into its own arrays."""

    statement: int
    row: int
    column: int


@dataclass(frozen=True)
class Equation:
    """One relation in one column (or between two): `sum of coefficient * cell` should be 0.

    The first term is the total (or the side that is compared), with coefficient 1.
    """

    check: str
    terms: tuple[tuple[Cell, int], ...]
    residual: Decimal
    tolerance: Decimal
    support: int
    """Other columns in which the same relation holds."""
    pattern: str = "plain"
    """`plain`, or `signs` where the signs had to be searched for."""
    digits: float = 0.0
    """Decimal digits in which the relation agrees where it holds."""
    exact: bool = True
    """Whether it holds to the last digit in one of the other columns, not just within rounding."""

    @property
    def holds(self) -> bool:
        """Whether it adds up within rounding."""
        return abs(self.residual) <= self.tolerance

    @property
    def may_be_chance(self) -> bool:
        """Whether it is off by little and holds nowhere exactly: lines that are alike by chance."""
        return not self.exact and abs(self.residual) <= NEAR * self.tolerance


@dataclass
class Sheet:
    """A statement with what identities ask of it again and again."""

    index: int
    statement: Statement
    _roles: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its rows."""
        return self.statement.rows

    @cached_property
    def width(self) -> int:
        """How many columns it has."""
        return len(self.statement.columns)

    @cached_property
    def unit(self) -> Decimal:
        """The unit that the page is printed in: what nine of ten amounts are a multiple of."""
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
        """Rows of amounts of money: not per share, not numbers of shares, not ratios, not empty.

        Where nothing says what a line is in, "Basic" below "Weighted average shares" counts shares.
        """
        found: list[int] = []
        of_shares = False
        for i, row in enumerate(self.rows):
            if all(value is None for value in row.values):
                of_shares = labels.counts_shares(row.label)
            elif _is_money(row) and not (
                of_shares and not row.unit and labels.is_per_share(row.label)
            ):
                found.append(i)
        return tuple(found)

    @cached_property
    def last_of_cash(self) -> int | None:
        """Where the cash flow statement comes to its end: what stands below is read apart."""
        return self.last("ending") if self.statement.statement == "cash_flow" else None

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Its lines that are sums of lines above them."""
        return tuple(find_sums(self))

    def value(self, row: int, column: int) -> Decimal | None:
        """One cell."""
        return self.rows[row].values[column]

    @cached_property
    def amounts(self) -> tuple[tuple[Decimal, ...], ...]:
        """Every row's cells, an empty one as 0."""
        return tuple(tuple(v if v is not None else ZERO for v in row.values) for row in self.rows)

    @cached_property
    def filled(self) -> tuple[tuple[int, ...], ...]:
        """The columns in which each row has an amount."""
        return tuple(
            tuple(c for c, v in enumerate(row.values) if v is not None) for row in self.rows
        )

    def roles(self, role: str) -> list[int]:
        """Money rows that play a role."""
        if role not in self._roles:
            money = set(self.money)
            found = labels.role_rows(self.statement, role)
            self._roles[role] = [row for row in found if row in money]
        return self._roles[role]

    def first(self, role: str) -> int | None:
        """The first row that plays a role."""
        return next(iter(self.roles(role)), None)

    def last(self, role: str) -> int | None:
        """The last row that plays a role."""
        return next(reversed(self.roles(role)), None)


def sheets(filing: Filing) -> list[Sheet]:
    """The statements of a filing, ready to be checked."""
    return [Sheet(i, statement) for i, statement in enumerate(filing.statements)]


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


def equations_of(sheet: Sheet, found: Sum, check: str) -> list[Equation]:
    """The equation of a sum in every column where it can be tried."""
    limit = tolerance(sheet.unit, len(found.parts))
    holding = sum(abs(r) <= limit for r in found.residuals.values())
    result = []
    for column, residual in found.residuals.items():
        terms = tuple(
            (Cell(sheet.index, row, column), coefficient) for row, coefficient in found.terms
        )
        here = abs(residual) <= limit
        exact = any(not r for other, r in found.residuals.items() if other != column)
        support = holding - here
        result.append(
            Equation(check, terms, residual, limit, support, found.pattern, found.digits, exact)
        )
    return result


def compare(
    check: str, pairs: Iterable[tuple[Sheet, Cell, Sheet, Cell]], unit: Decimal
) -> list[Equation]:
    """Equations that say two cells show the same amount, over several columns."""
    read = []
    for left, one, right, other in pairs:
        a, b = left.value(one.row, one.column), right.value(other.row, other.column)
        if a is not None and b is not None:
            read.append((one, other, a - b))
    holding = sum(abs(difference) <= unit for *_, difference in read)
    return [
        Equation(check, ((one, 1), (other, -1)), difference, unit,
                 holding - (abs(difference) <= unit))
        for one, other, difference in read
    ]  # fmt: skip
