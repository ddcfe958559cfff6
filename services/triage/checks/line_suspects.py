"""Suspect lines: proportions, signs, repetitions, units, totals below their lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from statistics import median

from services.triage.checks.context import FilingContext
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.suspects import Suspect, from_anomaly
from services.triage.relations.learned_sums import count_holding, label_words
from services.triage.relations.message_format import money, title
from services.triage.relations.relations import Cell, StatementView
from services.triage.relations.statement_rows import ZERO
from services.triage.statements.model import CHECKED

MOST_OF_A_KIND = 6
OUT_OF_PROPORTION = 25.0
CENT = Decimal("0.01")  # the smallest amount that a page prints
UNEVEN = 1.8  # decimal digits by which a statement must differ in size from the others
MOST_FINER = 3  # amounts of a statement that may be finer than its unit
RARE_SIGN = 0.1  # share of other companies below which a sign is unusual


def disproportionate_amounts(context: FilingContext) -> Iterator[Suspect]:
    """Amounts far from the same line in other columns, the farthest first."""
    candidates = []
    for view in context.views:
        for row in view.money:
            values = [(c, v) for c, v in enumerate(view.rows[row].values) if v]
            for column, value in values:
                other_amounts = [abs(v) for c, v in values if c != column]
                if not other_amounts:
                    continue
                factor = float(abs(value) / median(other_amounts))
                large = factor if factor > 1 else 1 / factor
                thin = abs(value) < 10_000 * view.unit
                if large >= OUT_OF_PROPORTION and (len(values) > 2 or factor > 1 or thin):
                    candidates.append((large, view, row, column, value, factor))
    candidates.sort(key=lambda item: -item[0])
    for large, view, row, column, value, factor in candidates[:MOST_OF_A_KIND]:
        cell = Cell(view.index, row, column)
        numbers = context.shared("proportion", view, row, column)
        numbers |= {
            "factor": math.log10(factor),
            "factor_is_thousand": abs(abs(math.log10(large)) - 3),
            "holds": context.holding(cell),
            "broken_with_cell": context.breaking(cell),
            "zeros": _zeros(value, view.unit),
        }
        expected = value / 1000 if factor > 1 else value * 1000
        reason = (
            f"{money(value)} is {large:,.0f} times as {'much' if factor > 1 else 'little'} as the "
            "same line shows elsewhere."
        )
        source = Anomaly("magnitude", view.index, row, column, value, expected, reason, (row,))
        yield from_anomaly("proportion", source, numbers)


def unusual_signs(context: FilingContext) -> Iterator[Suspect]:
    """Amounts with a sign that other columns or companies do not show, the rarest first."""
    candidates = []
    for view in context.views:
        for row in view.money:
            pattern = context.patterns.lines.get(context.key(view, row))
            values = [(c, v) for c, v in enumerate(view.rows[row].values) if v]
            for column, value in values:
                others = [v > 0 for c, v in values if c != column]
                lonely = bool(others) and (value > 0) not in others
                usual = (1 - pattern[1] if value > 0 else pattern[1]) if pattern else 0.5
                if usual < RARE_SIGN or (
                    lonely and (usual < 0.5 if pattern else len(values) > 2 or value < 0)
                ):
                    candidates.append((usual, not lonely, view, row, column, value, len(values)))
    candidates.sort(key=lambda item: (item[0] + item[1], item[2].index, item[3], item[4]))
    for usual, crowd, view, row, column, value, count in candidates[:MOST_OF_A_KIND]:
        numbers = context.shared("sign", view, row, column)
        numbers |= {
            "lonely": not crowd,
            "sign_against": 1 - usual,
            "columns_alike": count,
            "holds": context.holding(Cell(view.index, row, column)),
            "same_label": "(" in view.rows[row].label,
            "turned": any((row, -1) in s.parts for s in view.sums if s.pattern == "presented"),
        }
        reason = f"{money(value)} has the opposite sign of " + (
            "what other companies show in this line."
            if crowd
            else "the same line in the other columns."
        )
        source = Anomaly("switched_sign", view.index, row, column, value, -value, reason, (row,))
        yield from_anomaly("sign", source, numbers)


def repeated_lines(context: FilingContext) -> Iterator[Suspect]:
    """Lines with the same amounts as the line above."""
    for view in context.views:
        before: int | None = None
        for row in view.money:
            if before is not None and view.rows[row].values == view.rows[before].values:
                label_above, label = (label_words(view.rows[r].label) for r in (before, row))
                numbers = context.shared("twice", view, row, 0)
                numbers |= {
                    "same_label": label_above == label,
                    "columns_alike": sum(bool(v) for v in view.rows[row].values),
                    "lines": row - before,
                    "counted": _counted(view, {before, row}),
                }
                amount = view.rows[row].values[0]
                reason = f"It shows the same amounts as {view.rows[before].label!r} above."
                source = Anomaly("line_twice", view.index, row, None, amount, None, reason,
                                   (before, row))  # fmt: skip
                yield from_anomaly("twice", source, numbers)
            before = row


def _counted(view: StatementView, rows: set[int]) -> int:
    """The number of these lines in a complete sum below; -1 without such a sum."""
    for total in view.sums:
        begin = min(row for row, _ in total.parts)
        inside = begin <= max(rows) and max(rows) < total.total
        if inside and count_holding(view, total) == len(total.residuals):
            return sum(row in rows for row, _ in total.parts)
    return -1


def finer_amounts(context: FilingContext) -> Iterator[Suspect]:
    """Amounts with more digits than the page's unit."""
    for view in context.views:
        cells = [(r, c, v) for r in view.money for c, v in enumerate(view.rows[r].values) if v]
        if view.unit == 1 or len(cells) < 10:
            continue
        finer = [(r, c, v) for r, c, v in cells if v.quantize(CENT) % view.unit]
        for row, column, value in finer if len(finer) <= MOST_FINER else ():
            grain = Decimal(1)
            while value % (grain * 10) == 0:
                grain *= 10
            cell = Cell(view.index, row, column)
            numbers = context.shared("finer", view, row, column)
            numbers |= {
                "finer": len(finer),
                "values": len(cells),
                "factor": math.log10(float(view.unit / grain)),
                "holds": context.holding(cell),
                "broken_with_cell": context.breaking(cell),
            }
            reason = f"{money(value)} is finer than the unit of the statement, {money(view.unit)}."
            expected = (value / view.unit).to_integral_value() * view.unit
            source = Anomaly("finer_than_unit", view.index, row, column, value, expected,
                               reason, (row,))  # fmt: skip
            yield from_anomaly("finer", source, numbers)


def unequal_scales(context: FilingContext) -> Iterator[Suspect]:
    """Statements whose amounts differ in size from those of the others."""
    named = {s.statement for s in context.anomalies if s.check == "statement_scale"}
    checked = [s for s in context.views if s.kind in CHECKED and s.money]
    for view in checked if not named else ():
        other_views = [other for other in checked if other is not view]
        if not other_views or not context.sizes[view.index]:
            continue
        size = math.log10(context.sizes[view.index])
        apart = [size - math.log10(context.sizes[o.index] or 1) for o in other_views]
        least = min(apart, key=abs)
        if abs(least) < UNEVEN:
            continue
        numbers = context.shared("scale", view, None, None)
        numbers |= {
            "factor": least,
            "share_spread": max(apart) - min(apart),
            "finer": math.log10(float(view.unit / max(o.unit for o in other_views))),
            "values": len(other_views),
        }
        words = "larger" if least > 0 else "smaller"
        reason = (
            f"The amounts of the whole {title(view.kind)} are "
            f"{10 ** abs(least):,.0f} times {words} than those of the other statements."
        )
        source = Anomaly("statement_scale", view.index, None, None, None, None, reason)
        yield from_anomaly("scale", source, numbers)


def exceeded_totals(context: FilingContext) -> Iterator[Suspect]:
    """Totals in a filing of headlines that are less than a few of their lines."""
    for view in context.views if context.brief else ():
        if view.kind != "balance_sheet":
            continue
        for role, begins in SECTIONS.items():
            total = view.first(role)
            start = view.first(begins) if begins else 0
            if total is None or start is None or start >= total:
                continue
            first = start + 1 if begins in AFTER else start
            rows = [row for row in view.money if first <= row < total]
            yield from _exceeding(context, view, rows, total)


SECTIONS = {
    "total_current_assets": "",
    "total_assets": "total_current_assets",
    "total_current_liabilities": "total_assets",
    "total_liabilities": "total_current_liabilities",
}
"""Where the lines of a total begin: at the first line, or at another total."""
AFTER = ("total_assets",)  # totals that are not part of the section after them


def _exceeding(
    context: FilingContext, view: StatementView, rows: Sequence[int], total: int
) -> Iterator[Suspect]:
    for column in range(view.width):
        amount = view.value(total, column)
        values = [v for row in rows if (v := view.value(row, column))]
        over = sum(values, ZERO) - (amount or ZERO)
        if not amount or amount <= 0 or over <= view.unit or min(values) < 0:
            continue
        below_total = [
            sum((view.amounts[row][c] for row in rows), ZERO) <= view.amounts[total][c]
            for c in range(view.width)
            if c != column and view.amounts[total][c]
        ]
        numbers = context.shared("excess", view, total, column)
        numbers |= context.of_sum(view, total, [(row, 1) for row in rows])
        numbers |= {
            "share": float(over / amount),
            "lines": len(rows),
            "values": len(values),
            "columns_alike": sum(below_total),
            "factor": math.log10(1 + float(over / view.unit)),
            "gap_is_a_value": over in context.values,
            "holds": context.holding(Cell(view.index, total, column)),
        }
        reason = (
            "The lines are more than the total: one of them is too large, or the total is too "
            "small."
        )
        source = Anomaly("exceeds_total", view.index, total, column, amount, None, reason,
                           (*rows, total), over)  # fmt: skip
        yield from_anomaly("excess", source, numbers)


def _zeros(value: Decimal, unit: Decimal) -> int:
    digits = str(abs(int(value / unit)))
    return len(digits) - len(digits.rstrip("0"))
