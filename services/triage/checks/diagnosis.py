"""From broken relations to the one cell that is most likely wrong, and its cause.

If one cell is wrong, correcting it fixes every relation that it broke, and breaks no other. So each
cell of each broken relation is tried. Which amount would fix the relation? How many others would
that fix or break? Does a common slip, such as swapped digits, explain the difference?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from services.triage.explanations import Reason
from services.triage.relations.relations import Cell, Equation, StatementView, Views
from services.triage.relations.statement_rows import ZERO

CAUSES = {
    "sign": "the sign is switched",
    "scale": "a factor of a thousand (or a million) too large or too small",
    "transposed": "two neighbouring digits are swapped",
    "digit": "one digit differs",
    "swapped": "the amounts of two columns are swapped",
    "unexplained": "no familiar slip explains the difference",
}
RANK = {"sign": 5, "scale": 5, "transposed": 4, "swapped": 4, "digit": 2, "unexplained": 0}


@dataclass(frozen=True)
class Diagnosis:
    """One cell, its expected amount, and the relations that want it."""

    cell: Cell
    reported: Decimal
    expected: Decimal
    cause: str
    mends: tuple[Equation, ...]
    harms: int

    @property
    def merit(self) -> tuple[int, int, int]:
        """Rank: relations mended less those harmed, then how familiar the cause is."""
        total = any(self.cell == equation.terms[0][0] for equation in self.mends)
        return len(self.mends) - 2 * self.harms, RANK[self.cause], int(total)


def diagnose(views: Views, equations: Sequence[Equation]) -> list[Diagnosis]:
    """Explain broken relations, each by one cell, the likeliest first."""
    open_equations = [e for e in equations if not e.holds]
    by_cell: dict[Cell, list[Equation]] = defaultdict(list)
    for equation in equations:
        for cell, _ in equation.terms:
            by_cell[cell].append(equation)
    result: list[Diagnosis] = []
    likeliest: dict[int, Diagnosis] = {}
    while open_equations:
        still_open = set(map(id, open_equations))
        for equation in open_equations:
            if id(equation) not in likeliest:
                candidates = _candidates(views, equation, by_cell, still_open)
                likeliest[id(equation)] = max(candidates, key=lambda d: d.merit)
        best = max((likeliest[id(e)] for e in open_equations), key=lambda d: d.merit)
        result.append(best)
        explained = [e for e in open_equations if e in best.mends]
        open_equations = [e for e in open_equations if e not in best.mends]
        # Only relations that share a cell with an explained one need a new diagnosis.
        for equation in explained:
            for cell, _ in equation.terms:
                for other in by_cell[cell]:
                    likeliest.pop(id(other), None)
    return result


def _candidates(
    views: Views,
    equation: Equation,
    by_cell: dict[Cell, list[Equation]],
    still_open: Collection[int],
) -> Iterable[Diagnosis]:
    for cell, coefficient in equation.terms:
        reported = views[cell.statement].value(cell.row, cell.column) or ZERO
        expected = reported - equation.residual / coefficient
        mends, harms = [equation], 0
        for other in by_cell[cell]:
            if other is equation:
                continue
            factor = next(f for c, f in other.terms if c == cell)
            after = other.residual + factor * (expected - reported)
            if abs(after) > other.tolerance and other.holds:
                harms += 1
            elif abs(after) <= other.tolerance and id(other) in still_open:
                mends.append(other)
        cause = likeliest_cause(views[cell.statement], cell, reported, expected)
        yield Diagnosis(cell, reported, expected, cause, tuple(mends), harms)


def likeliest_cause(view: StatementView, cell: Cell, reported: Decimal, expected: Decimal) -> str:
    """The familiar slip that turns the expected amount into the reported one."""
    unit = view.unit
    if reported and expected == -reported:
        return "sign"
    for power in (3, 6):
        for large, little in ((reported, expected), (expected, reported)):
            if abs(little) >= unit and abs(large / Decimal(10) ** power - little) <= unit:
                return "scale"
    if reported == 0 or expected == 0 or (reported < 0) != (expected < 0):
        return "unexplained"
    others = (view.value(cell.row, c) for c in range(view.width) if c != cell.column)
    if expected in others:
        return "swapped"
    return _slip_of_digits(abs(reported), abs(expected))


def _slip_of_digits(reported: Decimal, expected: Decimal) -> str:
    a, b = str(int(reported)), str(int(expected))
    if len(a) != len(b):
        return "unexplained"
    differing = [i for i in range(len(a)) if a[i] != b[i]]
    if len(differing) == 1:
        return "digit"
    if len(differing) == 2 and differing[1] == differing[0] + 1:
        i, j = differing
        if a[i] == b[j] and a[j] == b[i]:
            return "transposed"
    return "unexplained"


def cause_of(view: StatementView, d: Diagnosis) -> Reason | None:
    """The likeliest cause, with swapped digits counted from the left; None if it is unknown.

    Swapped columns are named only if the swap also mends the relation in the other column.
    """
    reported, expected = d.reported, d.expected
    alike = reported != 0 and expected != 0 and (reported < 0) == (expected < 0)
    if alike and _slip_of_digits(abs(reported), abs(expected)) == "transposed":
        a, b = str(int(abs(reported))), str(int(abs(expected)))
        first = next(i for i in range(len(a)) if a[i] != b[i])
        words = f"{CAUSES['transposed']} (digits {first + 1} and {first + 2})"
        return Reason("transposed", words)
    cause = d.cause
    if cause == "swapped" and not _exchange_mends(view, d):
        cause = _slip_of_digits(abs(reported), abs(expected))
    return None if cause == "unexplained" else Reason(cause, CAUSES[cause])


def _exchange_mends(view: StatementView, d: Diagnosis) -> bool:
    """Whether exchanged amounts also mend the relations in the other column. Never for relations
    between columns or statements.
    """
    cells = [cell for equation in d.mends for cell, _ in equation.terms]
    if any((c.statement, c.column) != (d.cell.statement, d.cell.column) for c in cells):
        return False
    for column in range(view.width):
        if column == d.cell.column or view.value(d.cell.row, column) != d.expected:
            continue
        mended = []
        for equation in d.mends:
            printed = sum(
                (factor * (view.value(c.row, column) or ZERO) for c, factor in equation.terms), ZERO
            )
            factor = next(f for c, f in equation.terms if c == d.cell)
            after = printed + factor * (d.reported - d.expected)
            mended.append(abs(printed) > equation.tolerance >= abs(after))
        if all(mended):
            return True
    return False


def is_lawful(views: Views, equation: Equation, peers: Sequence[Equation]) -> bool:
    """Whether the sum holds without some lines that are empty in all columns where it holds. Those
    may lawfully be outside the sum.
    """
    unproved = [
        value * coefficient
        for cell, coefficient in equation.terms[1:]
        if (value := views[cell.statement].value(cell.row, cell.column))
        and not any(
            views[cell.statement].value(cell.row, peer.terms[0][0].column)
            for peer in peers
            if peer.holds
        )
    ]
    return any(
        abs(equation.residual - sum(some, ZERO)) <= equation.tolerance
        for count in range(1, min(len(unproved), 6) + 1)
        for some in combinations(unproved[:12], count)
    )
