"""Finds the lines of a statement that are sums of lines above them.

The statement is read from top to bottom with a stack of lines that no sum has taken yet, as an
accountant foots a page; a sum is believed only if it holds in at least one column, so that lines
which an extract leaves out don't raise an alarm.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, product
from operator import add, sub
from typing import TYPE_CHECKING

from services.triage import labels
from services.triage.presentation import LONGEST_RUN, Elsewhere, closed

if TYPE_CHECKING:
    from services.triage.relations import Sheet

ZERO = Decimal(0)
DEEPEST = 45
"""Lines that one sum may take."""
DEEPEST_SIGNS = 5
"""Lines of a sum for which every pattern of signs is tried."""
STRONG, SURE, WEAK = 2.0, 3.0, 4.0
"""Decimal digits of agreement, less the digits of tries, that a sum needs under a label that
announces one, that too if lines are taken otherwise than they stand there, and under any other."""


Parts = tuple[tuple[int, int], ...]
"""Rows and their signs."""


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

    def left_of(self, stack: Sequence[int]) -> list[int]:
        """Of open lines those above the first part: what stands between the parts is in it."""
        first = min(row for row, _ in self.parts)
        return [row for row in stack if row < first]


def tolerance(unit: Decimal, parts: int) -> Decimal:
    """Rounding in the unit of presentation: each part is off by half a unit at most, and errors
    mostly cancel.
    """
    return unit * (1 if parts <= 10 else 2) if parts > 1 else ZERO


def find_sums(sheet: Sheet) -> list[Sum]:
    """Read a statement from top to bottom and fold every line that is a sum of lines above it."""
    stack: list[int] = []
    found: list[Sum] = []
    below: set[int] = set()
    for row in sheet.money:
        if row in below:
            continue
        best = _best_sum(sheet, row, stack, found)
        if best is not None:
            found.append(best)
            below |= {part for part, _ in best.parts if part > row}
            stack = best.left_of(stack)
        stack = [] if row == sheet.last_of_cash else [*stack, row]
    return found


_OF_A_LINE = re.compile(r"^(?!total|net |cash ).*\bnet$")
"""Labels of the cash flow statement that announce a sum elsewhere, and here are lines."""


def _best_sum(sheet: Sheet, row: int, stack: Sequence[int], found: Sequence[Sum]) -> Sum | None:
    label = labels.normalise(sheet.rows[row].label)
    a_line = sheet.statement.statement == "cash_flow" and _OF_A_LINE.search(label)
    anchored = labels.announces_sum(label) and not a_line
    needed = STRONG if anchored else WEAK
    best: tuple[float, Sum] | None = None
    for parts, pattern, tries in _promising(sheet, row, stack, anchored):
        candidate = _weigh(sheet, row, parts, pattern, tries)
        if candidate is None or candidate[0] < needed:
            continue
        if best is None or candidate[0] > best[0] + 0.5:
            best = candidate
    if best is None and anchored:
        return _presented(sheet, row, stack, found) or _of_headlines(sheet, row, stack)
    return best[1] if best else None


def _presented(sheet: Sheet, row: int, stack: Sequence[int], known: Sequence[Sum]) -> Sum | None:
    """A sum in every column once a few lines are taken otherwise than they stand there."""
    columns = sheet.filled[row]
    if len(columns) < 2:
        return None
    total = tuple(sheet.amounts[row][c] for c in columns)
    limit = tolerance(sheet.unit, DEEPEST)
    best: tuple[float, Sum] | None = None
    elsewhere = list(_elsewhere(sheet, row, columns, stack, known))
    open_lines = list(reversed(stack[-DEEPEST:]))
    for by_label in (False, True) if sheet.statement.statement == "income" else (False,):
        lines = [
            (
                line,
                labels.sign_of(sheet.rows[line].label) if by_label else 1,
                tuple(sheet.amounts[line][c] for c in columns),
            )
            for line in open_lines
        ]
        found = closed(total, lines, limit, sheet.unit, elsewhere)
        if found and found[1] >= SURE and (best is None or found[1] > best[0]):
            parts = tuple(sorted(found[0]))
            residuals = _residuals(sheet, row, parts)
            if len(parts) > 1 and len(residuals) > 1:
                best = found[1], Sum(row, parts, residuals, "presented", found[1])
    return best[1] if best else None


def _elsewhere(
    sheet: Sheet, row: int, columns: Sequence[int], stack: Sequence[int], known: Sequence[Sum]
) -> Iterator[Elsewhere]:
    """Lines that other sums took, the lines of a whole one first, and lines below the total, which
    may belong above it where an extract has them in another order.
    """
    open_lines = set(stack)
    for found in reversed(known):
        rows = tuple(part for part, _ in found.parts)
        if found.total in open_lines and all(sign == 1 for _, sign in found.parts):
            yield Elsewhere(rows, _made(sheet, rows, columns), True)
    places = {line: i for i, line in enumerate(sheet.money)}
    at = places[row]
    draws_on_it = True
    for line in sheet.money[at + 1 :]:
        if labels.announces_sum(sheet.rows[line].label) and draws_on_it:
            draws_on_it = False  # the next total may be the sum of this line: it is no part of it
            continue
        near = line == row + 1
        yield Elsewhere((line,), _made(sheet, (line,), columns), near, near)
    taken = [line for line in sheet.money[:at] if line not in open_lines]
    for i, line in enumerate(taken):
        rows = (line,)
        made = _made(sheet, rows, columns)
        yield Elsewhere(rows, made)
        for other in taken[i + 1 : i + LONGEST_RUN]:
            if places[other] != places[rows[-1]] + 1:
                break
            rows = (*rows, other)
            made = tuple(map(add, made, _made(sheet, (other,), columns)))
            yield Elsewhere(rows, made)


def _made(sheet: Sheet, rows: Sequence[int], columns: Sequence[int]) -> tuple[Decimal, ...]:
    """What some lines make together in each of some columns."""
    made = [ZERO] * len(columns)
    for line in rows:
        amounts = sheet.amounts[line]
        made = [whole + amounts[c] for whole, c in zip(made, columns, strict=True)]
    return tuple(made)


def _of_headlines(sheet: Sheet, row: int, stack: Sequence[int]) -> Sum | None:
    """A sum of the first line and of totals, whatever stands between them, in every column."""
    columns = sheet.filled[row]
    if len(columns) < 2:
        return None
    rows = [r for i, r in enumerate(stack) if not i or labels.announces_sum(sheet.rows[r].label)]
    rows = rows[-DEEPEST_SIGNS:]
    if len(rows) < 2:
        return None
    limit = tolerance(sheet.unit, len(rows))
    agree = sum(math.log10(abs(float(sheet.amounts[row][c] / sheet.unit)) + 1) for c in columns)
    tries = 0
    for depth in range(2, len(rows) + 1):
        for signs in product((1, -1), repeat=depth - 1):
            tries += 1
            parts: Parts = ((rows[-depth], 1), *zip(rows[-depth + 1 :], signs, strict=True))
            if parts[0][0] == stack[-depth]:
                continue  # tried already
            residuals = _residuals(sheet, row, parts)
            if len(residuals) == len(columns) and all(
                abs(gap) <= limit for gap in residuals.values()
            ):
                weight = agree - math.log10(tries)
                return Sum(row, parts, residuals, "headlines", weight) if weight >= WEAK else None
    return None


def _residuals(sheet: Sheet, row: int, parts: Parts) -> dict[int, Decimal]:
    """What a sum leaves in each column where two of its parts have amounts."""
    residuals: dict[int, Decimal] = {}
    for column in sheet.filled[row]:
        values = [(sheet.value(part, column), sign) for part, sign in parts]
        if sum(1 for v, _ in values if v) >= 2:
            total = sheet.amounts[row][column]
            residuals[column] = total - sum((v * s for v, s in values if v is not None), ZERO)
    return residuals


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
    plus = less = by_label = turned = list(sheet.amounts[row])
    for depth in range(1, deepest + 1):
        front = stack[-depth]
        values = sheet.amounts[front]
        ways = [(_minus(plus, values), "plus")]
        if income or depth == 2:
            ways.append((_minus(less, values), "less"))
        if income:
            ways.append((_minus(by_label, values), "label"))
            ways.append((_minus(turned, values, -1), "turned"))
        for gaps, way in ways if depth > 1 else ():
            tries += 1
            if _may_hold(gaps, counted, limit):
                yield _parts(sheet, stack[-depth:], way), "plain", tries
        plus = _minus(plus, values)
        if income or depth == 1:
            less = _minus(less, values, -1)
        if income:
            by_label = _minus(by_label, values, labels.sign_of(sheet.rows[front].label))
            turned = _minus(turned, values, -1)
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
    return list(map(add if sign < 0 else sub, gaps, values))


def _may_hold(gaps: Sequence[Decimal], counted: Sequence[int], limit: Decimal) -> bool:
    seen = [abs(gaps[column]) for column in counted]
    return bool(seen) and (min(seen) <= limit or len(set(seen)) < len(seen))


def _parts(sheet: Sheet, rows: Sequence[int], way: str) -> Parts:
    first, *rest = rows
    if way == "plus":
        return ((first, 1), *((row, 1) for row in rest))
    if way in ("less", "turned"):
        return ((first, 1 if way == "less" else -1), *((row, -1) for row in rest))
    return ((first, 1), *((row, labels.sign_of(sheet.rows[row].label)) for row in rest))


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
