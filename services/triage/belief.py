"""How far rules believe a broken relation: what is screened out, and the confidences by hand.

The confidences below were set by hand, in the order in which such alarms seemed right on the
development data. What is learned (`risk.py`) is told of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from services.triage.diagnosis import Diagnosis, lawful_reading
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Equation, Sheet

MANY = 3
"""Breaks in one column from which on no single slip explains them."""

TRUSTED_ALONE = frozenset({"balance_equation", "net_income_agrees"})
"""Relations that are believed even where no other column confirms them."""

CONFIDENCE = {
    "several relations": 0.97,
    "sign": 0.9,
    "scale": 0.93,
    "transposed": 0.9,
    "digit": 0.8,
    "swapped": 0.8,
    "swapped_columns": 0.95,
    "missing_line": 0.85,
    "statement_scale": 0.97,
    "magnitude": 0.9,
    "switched_sign": 0.7,
    "unexplained balance sheet": 0.85,
    "unexplained": 0.35,
    "by label alone": 0.3,
    "harms others": 0.3,
    "rounding": 0.2,
    "many breaks": 0.2,
    "few digits": 0.4,
}
"""By what speaks for a finding."""


@dataclass(frozen=True)
class Swap:
    """One line whose amounts in two columns change places to mend a relation in both."""

    line: int
    columns: tuple[int, int]
    equations: tuple[Equation, ...]


def by_relation(equations: Iterable[Equation]) -> dict[object, list[Equation]]:
    """The equations of one relation over its columns."""
    relations: dict[object, list[Equation]] = defaultdict(list)
    for equation in equations:
        lines = tuple((c.statement, c.row, factor) for c, factor in equation.terms)
        relations[equation.check, lines].append(equation)
    return relations


def screened(pages: Sequence[Sheet], equations: Sequence[Equation]) -> Iterator[Equation]:
    """What holds, and what breaks although there is reason to expect it to hold."""
    for peers in by_relation(equations).values():
        broken = sum(not e.holds for e in peers)
        for equation in peers:
            if (
                equation.holds
                or equation.check in TRUSTED_ALONE
                or (
                    equation.support >= 1
                    and not equation.may_be_chance
                    and 2 * broken <= len(peers)
                    and not lawful_reading(pages, equation, peers)
                )
            ):
                yield equation


def take_swaps(
    pages: Sequence[Sheet], equations: Sequence[Equation]
) -> tuple[list[Swap], list[Equation]]:
    """Pairs of breaks that exchanged amounts explain, and the equations that are left."""
    swaps: list[Swap] = []
    explained: set[Equation] = set()
    for peers in by_relation(equations).values():
        broken = [e for e in peers if not e.holds]
        one_column = all(len({c.column for c, _ in e.terms}) == 1 for e in peers)
        for a, b in combinations(broken, 2) if one_column and len(broken) == 2 else ():
            line = _swapped_line(pages, a, b)
            if line is not None:
                columns = (a.terms[0][0].column, b.terms[0][0].column)
                swaps.append(Swap(line, columns, (a, b)))
                explained |= {a, b}
    rest = [e for e in equations if e not in explained and e.pattern != "swapped"]
    return swaps, rest


def _swapped_line(pages: Sequence[Sheet], one: Equation, other: Equation) -> int | None:
    if one.residual != -other.residual:
        return None
    first, second = one.terms[0][0].column, other.terms[0][0].column
    sheet = pages[one.terms[0][0].statement]
    for cell, factor in one.terms:
        a, b = sheet.value(cell.row, first), sheet.value(cell.row, second)
        if a is not None and b is not None and (a - b) * factor == one.residual:
            return cell.row
    return None


def refuted(suspicion: Suspicion, equations: Sequence[Equation]) -> bool:
    """A suspicious amount that adds up with its neighbours is what the page says."""
    if suspicion.row is None or suspicion.column is None:
        return False
    cell = Cell(suspicion.statement, suspicion.row, suspicion.column)
    return any(e.holds and any(c == cell for c, _ in e.terms) for e in equations)


def leading(d: Diagnosis) -> Equation:
    """The relation to show: one whose total is the cell, if any, else the best supported."""
    return max(d.mends, key=lambda e: (e.terms[0][0] == d.cell, e.support, e.digits))


def confidence_of(pages: Sequence[Sheet], d: Diagnosis, main: Equation, many: bool) -> float:
    """The confidence by hand; `many` says that its column has too many breaks for one slip."""
    units = abs(main.residual) / grain_of(pages, main)
    if many:
        return CONFIDENCE["many breaks"]
    if units <= (3 if len(main.terms) > 3 else 1) and len(main.terms) > 2:
        return CONFIDENCE["rounding"]
    if d.harms:
        return CONFIDENCE["harms others"]
    if len(d.mends) > 1:
        return CONFIDENCE["several relations"]
    if main.pattern == "label":
        return CONFIDENCE["by label alone"]
    if d.cause != "unexplained":
        return CONFIDENCE[d.cause]
    if main.check in TRUSTED_ALONE or main.check == "balance_sheet_sums":
        return CONFIDENCE["unexplained balance sheet"]
    return CONFIDENCE["unexplained"]


def grain_of(pages: Sequence[Sheet], equation: Equation) -> Decimal:
    """The unit of presentation of a relation: the power of ten that divides its amounts."""
    values = [v for c, _ in equation.terms if (v := pages[c.statement].value(c.row, c.column))]
    grain = Decimal(1)
    while grain < 10**9 and all(v % (grain * 10) == 0 for v in values):
        grain *= 10
    return grain
