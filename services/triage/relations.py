"""Relations between the cells of a filing: what should add up, where it holds, and where it
breaks.

A relation is a row of coefficients over lines (`total - part - part = 0`) and is tried in every
column. Sums inside a statement are found by reading it from top to bottom with a stack of lines
that no sum has taken yet, as an accountant foots a page; a sum is believed only if it holds in at
least one column, so that lines which an extract leaves out don't raise an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import combinations, product

from services.triage import labels
from services.triage.statements import Filing, Row, Statement

ZERO = Decimal(0)
DEEPEST = 45
"""Lines that one sum may take."""
DEEPEST_SIGNS = 5
"""Lines of a sum for which every pattern of signs is tried."""
STRONG, WEAK = 2.0, 4.0
"""Decimal digits of agreement, less the digits of tries, that a sum needs under a label that
announces one, and under any other."""


Parts = tuple[tuple[int, int], ...]
"""Rows and their signs."""


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
        """Rows of amounts of money: not per share, not numbers of shares, not ratios, not empty."""
        return tuple(i for i, row in enumerate(self.rows) if _is_money(row))

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
    label = labels.normalise(row.label)
    if labels.SHARES.search(label):
        return False
    largest = max(abs(v) for v in present)
    if labels.PER_SHARE.search(label) and (largest < 10**5 or any(v % 1 for v in present)):
        return False
    return not _small(row)


# Sums inside one statement


@dataclass
class Sum:
    """A line and the lines above it that it is the sum of."""

    total: int
    parts: Parts
    """Row and sign of each part."""
    residuals: dict[int, Decimal] = field(default_factory=dict)
    pattern: str = "plain"
    digits: float = 0.0

    @property
    def terms(self) -> tuple[tuple[int, int], ...]:
        """Row and coefficient, the total first."""
        return ((self.total, 1), *((row, -sign) for row, sign in self.parts))


NEAR = 5
"""Times the tolerance within which a break needs a column in which the relation holds exactly."""


def tolerance(unit: Decimal, parts: int) -> Decimal:
    """Rounding in the unit of presentation: each part is off by half a unit at most, and errors
    mostly cancel.
    """
    return unit * (1 if parts <= 10 else 2) if parts > 1 else ZERO


def find_sums(sheet: Sheet) -> list[Sum]:
    """Read a statement from top to bottom and fold every line that is a sum of lines above it."""
    stack: list[int] = []
    found: list[Sum] = []
    stop = sheet.last("ending") if sheet.statement.statement == "cash_flow" else None
    for row in sheet.money:
        best = _best_sum(sheet, row, stack)
        if best is not None:
            found.append(best)
            taken = {part for part, _ in best.parts}
            stack = [item for item in stack if item not in taken]
        stack.append(row)
        if row == stop:
            break
    return found


def _best_sum(sheet: Sheet, row: int, stack: Sequence[int]) -> Sum | None:
    anchored = labels.announces_sum(sheet.rows[row].label)
    needed = STRONG if anchored else WEAK
    best: tuple[float, Sum] | None = None
    for parts, pattern, tries in _promising(sheet, row, stack, anchored):
        candidate = _weigh(sheet, row, parts, pattern, tries)
        if candidate is None or candidate[0] < needed:
            continue
        if best is None or candidate[0] > best[0] + 0.5:
            best = candidate
    return best[1] if best else None


def _promising(
    sheet: Sheet, row: int, stack: Sequence[int], anchored: bool
) -> Iterator[tuple[Parts, str, int]]:
    """Ways in which a line may be a sum of the lines above it, and how many were tried so far.

    The plainest come first. Gaps are kept from depth to depth, so that only ways which hold
    somewhere, or fail by opposite amounts, are built and weighed.
    """
    income = sheet.statement.statement == "income"
    deepest = min(len(stack), DEEPEST)
    limit = tolerance(sheet.unit, DEEPEST)
    counted = sheet.filled[row]
    tries = 0
    plus = less = by_label = list(sheet.amounts[row])
    for depth in range(1, deepest + 1):
        front = stack[-depth]
        values = sheet.amounts[front]
        ways = [(_minus(plus, values), "plus")]
        if income or depth == 2:
            ways.append((_minus(less, values), "less"))
        if income:
            ways.append((_minus(by_label, values), "label"))
        for gaps, way in ways if depth > 1 else ():
            tries += 1
            if _may_hold(gaps, counted, limit):
                yield _parts(sheet, stack[-depth:], way), "plain", tries
        plus, less = _minus(plus, values), _minus(less, values, -1)
        by_label = _minus(by_label, values, _sign_by_label(sheet, front))
    for depth in range(2, min(deepest, DEEPEST_SIGNS) + 1) if income and anchored else ():
        rows = stack[-depth:]
        for signs in product((1, -1), repeat=depth - 1):
            tries += 1
            parts: Parts = ((rows[0], 1), *zip(rows[1:], signs, strict=True))
            gaps = list(sheet.amounts[row])
            for part, sign in parts:
                gaps = _minus(gaps, sheet.amounts[part], sign)
            if _may_hold(gaps, counted, limit):
                yield parts, "signs", tries


def _minus(gaps: Sequence[Decimal], values: Sequence[Decimal], sign: int = 1) -> list[Decimal]:
    if sign < 0:
        return [gap + value for gap, value in zip(gaps, values, strict=True)]
    return [gap - value for gap, value in zip(gaps, values, strict=True)]


def _may_hold(gaps: Sequence[Decimal], counted: Sequence[int], limit: Decimal) -> bool:
    seen = [gaps[column] for column in counted]
    return any(abs(gap) <= limit for gap in seen) or len({abs(gap) for gap in seen}) < len(seen)


def _parts(sheet: Sheet, rows: Sequence[int], way: str) -> Parts:
    first, *rest = rows
    if way == "plus":
        return ((first, 1), *((row, 1) for row in rest))
    if way == "less":
        return ((first, 1), *((row, -1) for row in rest))
    return ((first, 1), *((row, _sign_by_label(sheet, row)) for row in rest))


_MINUS = (
    "expense", "cost", "provision", "tax", "charges", "depreciation", "amortization", "less",
    "noncontrolling", "minority", "dividends", "loss on", "losses on", "impairment", "research",
    "general", "administrative", "benefits",
)  # fmt: skip
_PLUS = (
    "income from", "income before", "income (loss) from", "income (loss) before",
    "earnings before", "gain", "interest income", "equity in", "net income", "profit", "revenue",
    "sales", "other income", "income tax benefit", "benefit (", "(expense)", "(provision)",
    "earnings (loss)",
)  # fmt: skip


def _sign_by_label(sheet: Sheet, row: int) -> int:
    return _sign_of(labels.normalise(sheet.rows[row].label))


@lru_cache(maxsize=20_000)
def _sign_of(label: str) -> int:
    if any(word in label for word in _PLUS):
        return 1
    return -1 if any(word in label for word in _MINUS) else 1


def _weigh(
    sheet: Sheet, row: int, parts: Parts, pattern: str, tries: int
) -> tuple[float, Sum] | None:
    """How much a sum agrees, in decimal digits, less what the tries would find by chance."""
    residuals: dict[int, Decimal] = {}
    digits = 0.0
    limit = tolerance(sheet.unit, len(parts))
    for column in range(sheet.width):
        total = sheet.value(row, column)
        values = [(sheet.value(part, column), sign) for part, sign in parts]
        if total is None or sum(1 for v, _ in values if v) < 2:
            continue
        residual = total - sum((v * sign for v, sign in values if v is not None), ZERO)
        residuals[column] = residual
        if abs(residual) <= limit and total:
            agreement = math.log10(float(abs(total) / sheet.unit) + 1) - (0.5 if residual else 0.0)
            digits += agreement
    if not digits:
        return _weigh_swapped(sheet, row, parts, residuals, tries)
    weight = digits - math.log10(tries)
    return weight, Sum(row, parts, residuals, pattern, digits - math.log10(tries))


def _weigh_swapped(
    sheet: Sheet,
    row: int,
    parts: Parts,
    residuals: dict[int, Decimal],
    tries: int,
) -> tuple[float, Sum] | None:
    """A sum that fails in two columns by opposite amounts, and holds if one line's amounts change
    places.
    """
    found = Sum(row, parts, residuals, "swapped")
    for one, other in combinations(residuals, 2):
        gap = residuals[one]
        if not gap or residuals[other] != -gap:
            continue
        for line, coefficient in found.terms:
            a, b = sheet.value(line, one), sheet.value(line, other)
            if a is not None and b is not None and (a - b) * coefficient == gap:
                found.digits = 2 * math.log10(float(abs(gap) / sheet.unit) + 1) - math.log10(
                    tries * len(found.terms)
                )
                return found.digits, found
    return None


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
