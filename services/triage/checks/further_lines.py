"""Complete a relation by further lines that the page prints and that make up its gap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from services.triage.relations import labels
from services.triage.relations.relations import Cell, Equation, Views
from services.triage.relations.statement_rows import ZERO

BETWEEN = re.compile(
    r"controlling|minority|redeemable|preferred|temporary equity|mezzanine|treasury|"
    r"discontinued|extraordinary|cumulative effect|exchange|currency"
)
"""Lines that few pages have between the lines of a relation, or below the last of them."""
CASH = re.compile(
    r"\bcash\b|\brestricted\b|federal funds|deposits? (with|in|at|due from)\b|"
    r"short-term investments|marketable securities"
)
"""Lines of a balance sheet that a cash flow statement may count as cash."""
MOST = 2  # lines of cash that are added


def with_further_lines(
    views: Views, broken: Equation, tried: Sequence[Equation]
) -> Equation | None:
    """The relation with printed lines that make up its gap, or None.

    Args:
        tried: relations of the filing. A line between must close the gaps of all columns.
    """
    if broken.check == "cash_agrees":
        return next(_with_cash(views, broken), None)
    peers = [equation for equation in tried if equation.relation == broken.relation]
    rows = [cell.row for cell, _ in broken.terms]
    view = views[broken.terms[0][0].statement]
    if any(cell.statement != view.index for cell, _ in broken.terms):
        return None
    for row in range(min(rows) + 1, min(max(rows) + 2, len(view.rows))):
        if row in rows or not BETWEEN.search(labels.normalise(view.rows[row].label)):
            continue
        for factor in (-1, 1):
            completed = [_plus(views, equation, (row,), factor) for equation in peers]
            if all(equation.holds for equation in completed):
                return completed[peers.index(broken)]
    return None


def _with_cash(views: Views, broken: Equation) -> Iterator[Equation]:
    sheet = broken.terms[-1][0]
    view = views[sheet.statement]
    rows = [
        row
        for row in view.money
        if row != sheet.row and CASH.search(labels.normalise(view.rows[row].label))
    ]
    for number in range(1, MOST + 1):
        for lines in combinations(rows, number):
            if not (completed := _plus(views, broken, lines, -1)).residual:
                yield completed


def _plus(views: Views, equation: Equation, rows: Sequence[int], factor: int) -> Equation:
    """The relation with further lines of its last cell's statement and column."""
    last = equation.terms[-1][0]
    terms = [(Cell(last.statement, row, last.column), factor) for row in rows]
    amounts = [views[c.statement].value(c.row, c.column) or ZERO for c, _ in terms]
    residual = equation.residual + factor * sum(amounts, ZERO)
    return replace(equation, terms=(*equation.terms, *terms), residual=residual)
