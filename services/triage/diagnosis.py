"""From relations that break to the one cell that most likely is wrong, and what happened to it.

If one cell is at fault, changing that cell mends every relation it broke and harms none that
holds. So every cell of every broken relation is tried: what would it have to be, how many
relations does that mend, how many would it break, and does the needed value look like the reported
one after a familiar slip?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from services.triage.relations import Cell, Equation, Sheet
from services.triage.sums import ZERO

CAUSES = {
    "sign": "the sign is switched",
    "scale": "a factor of a thousand (or a million) too large or too small",
    "transposed": "two neighbouring digits are exchanged",
    "digit": "one digit differs",
    "swapped": "the amounts of two columns are exchanged",
    "unexplained": "no familiar slip explains the difference",
}
RANK = {"sign": 5, "scale": 5, "transposed": 4, "swapped": 4, "digit": 2, "unexplained": 0}


@dataclass(frozen=True)
class Diagnosis:
    """One cell, what it should be, and which relations say so."""

    cell: Cell
    reported: Decimal
    expected: Decimal
    cause: str
    mends: tuple[Equation, ...]
    harms: int

    @property
    def merit(self) -> tuple[int, int, int]:
        """The larger, the likelier: relations mended less those harmed, then how familiar the slip
        is.
        """
        total = any(self.cell == equation.terms[0][0] for equation in self.mends)
        return len(self.mends) - 2 * self.harms, RANK[self.cause], int(total)


def diagnose(sheets: Sequence[Sheet], equations: Sequence[Equation]) -> list[Diagnosis]:
    """Explain broken relations, each by one cell, the likeliest first; no relation is explained
    twice.
    """
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
                found = _candidates(sheets, equation, by_cell, still_open)
                likeliest[id(equation)] = max(found, key=lambda d: d.merit)
        best = max((likeliest[id(e)] for e in open_equations), key=lambda d: d.merit)
        result.append(best)
        explained = [e for e in open_equations if e in best.mends]
        open_equations = [e for e in open_equations if e not in best.mends]
        # Only what shares a cell with what is explained now mends less than before.
        for equation in explained:
            for cell, _ in equation.terms:
                for other in by_cell[cell]:
                    likeliest.pop(id(other), None)
    return result


def _candidates(
    sheets: Sequence[Sheet],
    equation: Equation,
    by_cell: dict[Cell, list[Equation]],
    still_open: Collection[int],
) -> Iterable[Diagnosis]:
    for cell, coefficient in equation.terms:
        reported = sheets[cell.statement].value(cell.row, cell.column) or ZERO
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
        cause = likeliest_cause(sheets[cell.statement], cell, reported, expected)
        yield Diagnosis(cell, reported, expected, cause, tuple(mends), harms)


def likeliest_cause(sheet: Sheet, cell: Cell, reported: Decimal, expected: Decimal) -> str:
    """Which familiar slip turns the expected amount into the reported one."""
    unit = sheet.unit
    if reported and expected == -reported:
        return "sign"
    for power in (3, 6):
        for large, little in ((reported, expected), (expected, reported)):
            if abs(little) >= unit and abs(large / Decimal(10) ** power - little) <= unit:
                return "scale"
    if reported == 0 or expected == 0 or (reported < 0) != (expected < 0):
        return "unexplained"
    places = (
        sheet.value(cell.row, column) for column in range(sheet.width) if column != cell.column
    )
    if expected in places:
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


def told_cause(sheet: Sheet, d: Diagnosis) -> str:
    """The likeliest cause in words. Digits that were exchanged are named, counted from the left;
    that two columns were exchanged is said only where the relation is broken in the other as well
    and the exchange mends it there.
    """
    reported, expected = d.reported, d.expected
    alike = reported != 0 and expected != 0 and (reported < 0) == (expected < 0)
    if alike and _slip_of_digits(abs(reported), abs(expected)) == "transposed":
        a, b = str(int(abs(reported))), str(int(abs(expected)))
        first = next(i for i in range(len(a)) if a[i] != b[i])
        return f"{CAUSES['transposed']} (digits {first + 1} and {first + 2})"
    if d.cause != "swapped" or _exchange_mends(sheet, d):
        return CAUSES[d.cause]
    return CAUSES[_slip_of_digits(abs(reported), abs(expected))]


def _exchange_mends(sheet: Sheet, d: Diagnosis) -> bool:
    """Whether the relations hold in the column that has the expected amount once it has the
    reported one, and do not as it is printed; not known of relations between columns or statements.
    """
    cells = [cell for equation in d.mends for cell, _ in equation.terms]
    if any((c.statement, c.column) != (d.cell.statement, d.cell.column) for c in cells):
        return False
    for column in range(sheet.width):
        if column == d.cell.column or sheet.value(d.cell.row, column) != d.expected:
            continue
        mended = []
        for equation in d.mends:
            printed = sum(
                (factor * (sheet.value(c.row, column) or ZERO) for c, factor in equation.terms),
                ZERO,
            )
            factor = next(f for c, f in equation.terms if c == d.cell)
            after = printed + factor * (d.reported - d.expected)
            mended.append(abs(printed) > equation.tolerance >= abs(after))
        if all(mended):
            return True
    return False


def lawful_reading(sheets: Sequence[Sheet], equation: Equation, peers: Sequence[Equation]) -> bool:
    """Whether lines that only this column has may lawfully stand outside the sum.

    A line that is empty or zero wherever the relation holds has never been proved to belong to it;
    if leaving some such lines out mends the relation, the page is read otherwise and nothing is
    wrong.
    """
    unproved = [
        value * coefficient
        for cell, coefficient in equation.terms[1:]
        if (value := sheets[cell.statement].value(cell.row, cell.column))
        and not any(
            sheets[cell.statement].value(cell.row, peer.terms[0][0].column)
            for peer in peers
            if peer.holds
        )
    ]
    return any(
        abs(equation.residual - sum(some, ZERO)) <= equation.tolerance
        for count in range(1, min(len(unproved), 6) + 1)
        for some in combinations(unproved[:12], count)
    )
