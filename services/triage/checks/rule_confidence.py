"""Rules for broken relations: which ones to ignore, and confidences set by hand.

The confidences follow the order in which alarms were right on the development data. The classifier
uses them as input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from services.triage.checks.diagnosis import Diagnosis, is_lawful
from services.triage.checks.plausibility import Anomaly
from services.triage.relations.relations import Cell, Equation, Views

MANY = 3  # with so many breaks in one column, no single slip explains them

ROLL_FORWARD = 3  # lines: cash at the beginning, the change, and cash at the end

TRUSTED_ALONE = frozenset({"balance_equation", "net_income_agrees"})  # without other columns

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
"""Confidence by the evidence for a finding."""


@dataclass(frozen=True)
class Swap:
    """One line whose amounts in two columns must be exchanged to mend a relation in both."""

    line: int
    columns: tuple[int, int]
    equations: tuple[Equation, ...]


def by_relation(equations: Iterable[Equation]) -> dict[object, list[Equation]]:
    """The equations of each relation over its columns."""
    relations: dict[object, list[Equation]] = defaultdict(list)
    for equation in equations:
        relations[equation.relation].append(equation)
    return relations


def credible_equations(views: Views, equations: Sequence[Equation]) -> Iterator[Equation]:
    """Relations that hold, and breaks of relations that should hold."""
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
                    and not is_lawful(views, equation, peers)
                )
            ):
                yield equation


def leaves_no_room(views: Views, equation: Equation) -> bool:
    """Whether no unread line can lie between the lines of a relation.

    These are cash at both ends of a period and its change, one below the other.
    """
    if equation.check != "cash_roll_forward" or len(equation.terms) != ROLL_FORWARD:
        return False
    money = views[equation.terms[0][0].statement].money
    places = [money.index(cell.row) for cell, _ in equation.terms]
    return max(places) == places[0] and max(places) - min(places) == len(places) - 1


def find_swaps(views: Views, equations: Sequence[Equation]) -> tuple[list[Swap], list[Equation]]:
    """Pairs of breaks that exchanged amounts explain, and the remaining equations."""
    swaps: list[Swap] = []
    explained: set[Equation] = set()
    for peers in by_relation(equations).values():
        broken = [e for e in peers if not e.holds]
        one_column = all(len({c.column for c, _ in e.terms}) == 1 for e in peers)
        for a, b in combinations(broken, 2) if one_column and len(broken) == 2 else ():
            line = _swapped_line(views, a, b)
            if line is not None:
                columns = (a.terms[0][0].column, b.terms[0][0].column)
                swaps.append(Swap(line, columns, (a, b)))
                explained |= {a, b}
    remaining = [e for e in equations if e not in explained and e.pattern != "swapped"]
    return swaps, remaining


def _swapped_line(views: Views, equation: Equation, other: Equation) -> int | None:
    if equation.residual != -other.residual:
        return None
    first, second = equation.terms[0][0].column, other.terms[0][0].column
    view = views[equation.terms[0][0].statement]
    for cell, factor in equation.terms:
        a, b = view.value(cell.row, first), view.value(cell.row, second)
        if a is not None and b is not None and (a - b) * factor == equation.residual:
            return cell.row
    return None


def is_refuted(anomaly: Anomaly, equations: Sequence[Equation]) -> bool:
    """Whether a suspicious amount adds up with its neighbours."""
    if anomaly.row is None or anomaly.column is None:
        return False
    cell = Cell(anomaly.statement, anomaly.row, anomaly.column)
    return any(e.holds and any(c == cell for c, _ in e.terms) for e in equations)


def main_equation(d: Diagnosis) -> Equation:
    """The relation to show: one with the cell as total, otherwise the best supported."""
    return max(d.mends, key=lambda e: (e.terms[0][0] == d.cell, e.support, e.digits))


def rule_confidence(views: Views, d: Diagnosis, main: Equation, many: bool) -> float:
    """The confidence by hand; `many` marks a column with too many breaks for one slip."""
    units = abs(main.residual) / granularity(views, main)
    if many:
        return CONFIDENCE["many breaks"]
    if is_rounding(units, main):
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


def is_rounding(units: Decimal, equation: Equation) -> bool:
    """Whether rounding explains a difference of so many units."""
    return len(equation.terms) > 2 and units <= (3 if len(equation.terms) > 3 else 1)


def granularity(views: Views, equation: Equation) -> Decimal:
    """The power of ten that divides all amounts of a relation."""
    values = [v for c, _ in equation.terms if (v := views[c.statement].value(c.row, c.column))]
    grain = Decimal(1)
    while grain < 10**9 and all(v % (grain * 10) == 0 for v in values):
        grain *= 10
    return grain
