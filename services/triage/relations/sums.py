"""Find the lines of a statement that are sums of lines above them.

The statement is read from top to bottom with a stack of open lines, as an accountant foots a page.
A sum must hold in at least one column, so lines that an extract leaves out raise no alarm.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, product
from operator import add, sub

from services.triage.relations import labels
from services.triage.relations.presentation import LONGEST_RUN, DistantLines, close_total
from services.triage.relations.statement_rows import ZERO, StatementRows

DEEPEST = 45  # parts that one sum may have
DEEPEST_SIGNS = 5  # parts of a sum for which every pattern of signs is tried
STRONG, SURE, WEAK = 2.0, 3.0, 4.0
"""Digits of agreement that a sum needs, less those of the tries. The first is for a label that
announces a sum, the second for the same with adjusted lines, the third for any other label."""


Parts = tuple[tuple[int, int], ...]  # rows and their signs


@dataclass
class Sum:
    """A line and the lines above that it is the sum of."""

    total: int
    parts: Parts  # row and sign of each part
    residuals: dict[int, Decimal] = field(default_factory=dict)
    pattern: str = "plain"
    digits: float = 0.0

    @property
    def terms(self) -> tuple[tuple[int, int], ...]:
        """Row and coefficient, the total first."""
        return ((self.total, 1), *((row, -sign) for row, sign in self.parts))

    def lines_before(self, stack: Sequence[int]) -> list[int]:
        """The open lines above the first part; lines between the parts belong to the sum."""
        first = min(row for row, _ in self.parts)
        return [row for row in stack if row < first]


def tolerance(unit: Decimal, parts: int) -> Decimal:
    """The difference that rounding to the page's unit may leave. Errors of parts mostly cancel."""
    return unit * (1 if parts <= 10 else 2) if parts > 1 else ZERO


def find_sums(view: StatementRows) -> list[Sum]:
    """Read a statement from top to bottom and fold every line that is a sum of lines above it."""
    stack: list[int] = []
    sums: list[Sum] = []
    below: set[int] = set()
    for row in view.money:
        if row in below:
            continue
        best = _best_sum(view, row, stack, sums)
        if best is not None:
            sums.append(best)
            below |= {part for part, _ in best.parts if part > row}
            stack = best.lines_before(stack)
        stack = [] if row == view.last_of_cash else [*stack, row]
    return sums


_OF_A_LINE = re.compile(r"^(?!total|net |cash ).*\bnet$")  # no sums in a cash flow statement


def _best_sum(
    view: StatementRows, row: int, stack: Sequence[int], sums: Sequence[Sum]
) -> Sum | None:
    label = labels.normalise(view.rows[row].label)
    plain = view.kind == "cash_flow" and _OF_A_LINE.search(label)
    anchored = labels.announces_sum(label) and not plain
    needed = STRONG if anchored else WEAK
    best: tuple[float, Sum] | None = None
    for parts, pattern, tries in _promising(view, row, stack, anchored):
        candidate = _weigh(view, row, parts, pattern, tries)
        if candidate is None or candidate[0] < needed:
            continue
        if best is None or candidate[0] > best[0] + 0.5 or _closes(candidate[1], best[1]):
            best = candidate
    if best is None and anchored:
        return _adjusted_sum(view, row, stack, sums) or _sum_of_headlines(view, row, stack)
    return best[1] if best else None


def _closes(deeper: Sum, best: Sum) -> bool:
    """Whether a sum of more lines closes to the last digit where the best one needs rounding."""
    plain = deeper.pattern == best.pattern == "plain" and len(deeper.parts) > len(best.parts)
    as_many = len(deeper.residuals) >= len(best.residuals)
    exact = not any(deeper.residuals.values())
    return plain and as_many and exact and any(best.residuals.values())


def _adjusted_sum(
    view: StatementRows, row: int, stack: Sequence[int], sums: Sequence[Sum]
) -> Sum | None:
    """A sum that holds in every column with a few lines adjusted."""
    columns = view.filled[row]
    if len(columns) < 2:
        return None
    total = tuple(view.amounts[row][c] for c in columns)
    limit = tolerance(view.unit, DEEPEST)
    best: tuple[float, Sum] | None = None
    elsewhere = list(_distant_lines(view, row, columns, stack, sums))
    open_lines = list(reversed(stack[-DEEPEST:]))
    for by_label in (False, True) if view.kind == "income" else (False,):
        lines = [
            (
                line,
                labels.sign_of(view.rows[line].label) if by_label else 1,
                tuple(view.amounts[line][c] for c in columns),
            )
            for line in open_lines
        ]
        closing = close_total(total, lines, limit, view.unit, elsewhere)
        if closing and closing[1] >= SURE and (best is None or closing[1] > best[0]):
            parts = tuple(sorted(closing[0]))
            residuals = _residuals(view, row, parts)
            if len(parts) > 1 and len(residuals) > 1:
                best = closing[1], Sum(row, parts, residuals, "presented", closing[1])
    return best[1] if best else None


def _distant_lines(
    view: StatementRows, row: int, columns: Sequence[int], stack: Sequence[int], sums: Sequence[Sum]
) -> Iterator[DistantLines]:
    """Lines of other sums, complete ones first, and lines that an extract moved below."""
    open_lines = set(stack)
    for total in reversed(sums):
        rows = tuple(part for part, _ in total.parts)
        if total.total in open_lines and all(sign == 1 for _, sign in total.parts):
            yield DistantLines(rows, _line_totals(view, rows, columns), True)
    index_of = {line: i for i, line in enumerate(view.money)}
    index = index_of[row]
    draws_on_it = True
    for line in view.money[index + 1 :]:
        if labels.announces_sum(view.rows[line].label) and draws_on_it:
            draws_on_it = False  # the next total may contain this line
            continue
        near = line == row + 1
        yield DistantLines((line,), _line_totals(view, (line,), columns), near, near)
    taken = [line for line in view.money[:index] if line not in open_lines]
    for i, line in enumerate(taken):
        rows = (line,)
        made = _line_totals(view, rows, columns)
        yield DistantLines(rows, made)
        for other in taken[i + 1 : i + LONGEST_RUN]:
            if index_of[other] != index_of[rows[-1]] + 1:
                break
            rows = (*rows, other)
            made = tuple(map(add, made, _line_totals(view, (other,), columns)))
            yield DistantLines(rows, made)


def _line_totals(
    view: StatementRows, rows: Sequence[int], columns: Sequence[int]
) -> tuple[Decimal, ...]:
    """The total of some lines in each of some columns."""
    return tuple(sum((view.amounts[line][c] for line in rows), ZERO) for c in columns)


def _sum_of_headlines(view: StatementRows, row: int, stack: Sequence[int]) -> Sum | None:
    """A sum of the first open line and of totals, ignoring lines between, in every column."""
    columns = view.filled[row]
    if len(columns) < 2:
        return None
    rows = [r for i, r in enumerate(stack) if not i or labels.announces_sum(view.rows[r].label)]
    rows = rows[-DEEPEST_SIGNS:]
    if len(rows) < 2:
        return None
    limit = tolerance(view.unit, len(rows))
    agree = sum(math.log10(abs(float(view.amounts[row][c] / view.unit)) + 1) for c in columns)
    tries = 0
    for depth in range(2, len(rows) + 1):
        for signs in product((1, -1), repeat=depth - 1):
            tries += 1
            parts: Parts = ((rows[-depth], 1), *zip(rows[-depth + 1 :], signs, strict=True))
            if parts[0][0] == stack[-depth]:
                continue  # tried already
            residuals = _residuals(view, row, parts)
            holds = all(abs(gap) <= limit for gap in residuals.values())
            if holds and len(residuals) == len(columns):
                weight = agree - math.log10(tries)
                return Sum(row, parts, residuals, "headlines", weight) if weight >= WEAK else None
    return None


def _residuals(view: StatementRows, row: int, parts: Parts) -> dict[int, Decimal]:
    """The difference of a sum in each column where two of its parts have amounts."""
    residuals: dict[int, Decimal] = {}
    for column in view.filled[row]:
        values = [(view.value(part, column), sign) for part, sign in parts]
        if sum(1 for v, _ in values if v) >= 2:
            total = view.amounts[row][column]
            residuals[column] = total - sum((v * s for v, s in values if v is not None), ZERO)
    return residuals


def _promising(
    view: StatementRows, row: int, stack: Sequence[int], anchored: bool
) -> Iterator[tuple[Parts, str, int]]:
    """Yield possible sums of the open lines, the plainest first, with the number of tries so far.

    Gaps are carried from depth to depth. Only candidates that hold in a column, or fail by opposite
    amounts, are built and weighed.
    """
    income = view.kind == "income"
    deepest = min(len(stack), DEEPEST)
    limit = tolerance(view.unit, DEEPEST)
    counted = view.filled[row]
    tries = 0
    plus = less = by_label = turned = list(view.amounts[row])
    for depth in range(1, deepest + 1):
        front = stack[-depth]
        values = view.amounts[front]
        candidates = [(_minus(plus, values), "plus")]
        if income or depth == 2:
            candidates.append((_minus(less, values), "less"))
        if income:
            candidates.append((_minus(by_label, values), "label"))
            candidates.append((_minus(turned, values, -1), "turned"))
        for gaps, pattern in candidates if depth > 1 else ():
            tries += 1
            if _may_hold(gaps, counted, limit):
                yield _parts(view, stack[-depth:], pattern), "plain", tries
        plus = _minus(plus, values)
        if income or depth == 1:
            less = _minus(less, values, -1)
        if income:
            by_label = _minus(by_label, values, labels.sign_of(view.rows[front].label))
            turned = _minus(turned, values, -1)
    for depth in range(2, min(deepest, DEEPEST_SIGNS) + 1) if income and anchored else ():
        rows = stack[-depth:]
        for signs in product((1, -1), repeat=depth - 1):
            tries += 1
            parts: Parts = ((rows[0], 1), *zip(rows[1:], signs, strict=True))
            gaps = list(view.amounts[row])
            for part, sign in parts:
                gaps = _minus(gaps, view.amounts[part], sign)
            if _may_hold(gaps, counted, limit):
                yield parts, "signs", tries


def _minus(gaps: Sequence[Decimal], values: Sequence[Decimal], sign: int = 1) -> list[Decimal]:
    return list(map(add if sign < 0 else sub, gaps, values))


def _may_hold(gaps: Sequence[Decimal], counted: Sequence[int], limit: Decimal) -> bool:
    seen = [abs(gaps[column]) for column in counted]
    return bool(seen) and (min(seen) <= limit or len(set(seen)) < len(seen))


def _parts(view: StatementRows, rows: Sequence[int], pattern: str) -> Parts:
    first, *others = rows
    if pattern == "plus":
        return ((first, 1), *((row, 1) for row in others))
    if pattern in ("less", "turned"):
        return ((first, 1 if pattern == "less" else -1), *((row, -1) for row in others))
    return ((first, 1), *((row, labels.sign_of(view.rows[row].label)) for row in others))


def _weigh(
    view: StatementRows, row: int, parts: Parts, pattern: str, tries: int
) -> tuple[float, Sum] | None:
    """A sum and its evidence: digits that agree, less those expected by chance in `tries` tries."""
    residuals = _residuals(view, row, parts)
    digits = 0.0
    limit = tolerance(view.unit, len(parts))
    for column, residual in residuals.items():
        total = view.amounts[row][column]
        if abs(residual) <= limit and total:
            agreement = math.log10(float(abs(total) / view.unit) + 1) - (0.5 if residual else 0.0)
            digits += agreement
    if not digits:
        return _weigh_swapped(view, row, parts, residuals, tries)
    weight = digits - math.log10(tries)
    return weight, Sum(row, parts, residuals, pattern, weight)


def _weigh_swapped(
    view: StatementRows, row: int, parts: Parts, residuals: dict[int, Decimal], tries: int
) -> tuple[float, Sum] | None:
    """A sum that fails in two columns and holds if one line's amounts are exchanged."""
    candidate = Sum(row, parts, residuals, "swapped")
    for first, second in combinations(residuals, 2):
        gap = residuals[first]
        if not gap or residuals[second] != -gap:
            continue
        for line, coefficient in candidate.terms:
            a, b = view.value(line, first), view.value(line, second)
            if a is not None and b is not None and (a - b) * coefficient == gap:
                candidate.digits = 2 * math.log10(float(abs(gap) / view.unit) + 1) - math.log10(
                    tries * len(candidate.terms)
                )
                return candidate.digits, candidate
    return None
