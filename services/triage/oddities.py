"""Doubts about a line as such: proportions, signs, repetitions, units, totals below their lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from statistics import median

from services.triage.context import Context
from services.triage.doubts import Doubt, suspected
from services.triage.experience import bare, holding
from services.triage.identities import CHECKED
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Sheet
from services.triage.sums import ZERO
from services.triage.wording import money, title

MOST_OF_A_KIND = 6
OUT_OF_PROPORTION = 25.0
CENT = Decimal("0.01")
"""What is less than that is no digit of a page."""
UNEVEN = 1.8
"""Decimal digits by which a statement is larger or smaller than the others for that to be odd."""
MOST_FINER = 3
"""Amounts of a statement that may be finer than its unit for that to be odd."""
RARE_SIGN = 0.1
"""Share of others that show a sign, below which it is odd."""


# Amounts out of proportion, signs, lines that stand there twice


def proportions(context: Context) -> Iterator[Doubt]:
    """Amounts far from those of the same line in other columns, the farthest first."""
    found = []
    for sheet in context.sheets:
        for row in sheet.money:
            values = [(c, v) for c, v in enumerate(sheet.rows[row].values) if v]
            for column, value in values:
                others = [abs(v) for c, v in values if c != column]
                if not others:
                    continue
                factor = float(abs(value) / median(others))
                large = factor if factor > 1 else 1 / factor
                if large >= OUT_OF_PROPORTION and (
                    len(values) > 2 or factor > 1 or _thin(value, sheet)
                ):
                    found.append((large, sheet, row, column, value, factor))
    found.sort(key=lambda item: -item[0])
    for large, sheet, row, column, value, factor in found[:MOST_OF_A_KIND]:
        cell = Cell(sheet.index, row, column)
        numbers = context.shared("proportion", sheet, row, column)
        numbers |= {
            "factor": math.log10(factor),
            "factor_is_thousand": abs(abs(math.log10(large)) - 3),
            "holds": sum(e.holds for e in context.of_cell[cell]),
            "broken_with_cell": sum(not e.holds for e in context.of_cell[cell]),
            "zeros": _zeros(value, sheet.unit),
        }
        expected = value / 1000 if factor > 1 else value * 1000
        reason = (
            f"{money(value)} is {large:,.0f} times as {'much' if factor > 1 else 'little'} as the "
            "same line shows elsewhere."
        )
        source = Suspicion("magnitude", sheet.index, row, column, value, expected, reason,
                           (row,), abs(value))  # fmt: skip
        yield suspected("proportion", source, numbers)


def _thin(value: Decimal, sheet: Sheet) -> bool:
    return abs(value) < 10_000 * sheet.unit


def signs(context: Context) -> Iterator[Doubt]:
    """Amounts with a sign that others, or the other columns, do not show; the oddest first."""
    found = []
    for sheet in context.sheets:
        kind = sheet.statement.statement
        for row in sheet.money:
            name = context.experience.name(kind, sheet.rows[row].label)
            known = context.experience.lines.get(f"{kind}|{name}")
            values = [(c, v) for c, v in enumerate(sheet.rows[row].values) if v]
            for column, value in values:
                lonely = len(values) > 1 and all(
                    (v > 0) != (value > 0) for c, v in values if c != column
                )
                usual = (1 - known[1] if value > 0 else known[1]) if known else 0.5
                if usual < RARE_SIGN or (
                    lonely and (usual < 0.5 if known else len(values) > 2 or value < 0)
                ):
                    found.append((usual, not lonely, sheet, row, column, value, len(values)))
    found.sort(key=lambda item: (item[0] + item[1], item[2].index, item[3], item[4]))
    for usual, crowd, sheet, row, column, value, count in found[:MOST_OF_A_KIND]:
        numbers = context.shared("sign", sheet, row, column)
        cell = Cell(sheet.index, row, column)
        numbers |= {
            "lonely": not crowd,
            "sign_against": 1 - usual,
            "columns_alike": count,
            "holds": sum(e.holds for e in context.of_cell[cell]),
            "same_label": "(" in sheet.rows[row].label,
            "turned": _is_turned(sheet, row),
        }
        reason = f"{money(value)} has the opposite sign of " + (
            "the same line in the other columns." if not crowd else
            "what other companies show in this line."
        )  # fmt: skip
        source = Suspicion("switched_sign", sheet.index, row, column, value, -value, reason,
                           (row,), abs(value))  # fmt: skip
        yield suspected("sign", source, numbers)


def _is_turned(sheet: Sheet, row: int) -> bool:
    """Whether a sum takes a line with the other sign than the page shows."""
    return any((row, -1) in found.parts for found in sheet.sums if found.pattern == "presented")


def twice(context: Context) -> Iterator[Doubt]:
    """Lines with the very amounts of the line above."""
    for sheet in context.sheets:
        before: int | None = None
        for row in sheet.money:
            if before is not None and sheet.rows[row].values == sheet.rows[before].values:
                one, two = (bare(sheet.rows[r].label) for r in (before, row))
                numbers = context.shared("twice", sheet, row, 0)
                numbers |= {
                    "same_label": one == two,
                    "columns_alike": sum(bool(v) for v in sheet.rows[row].values),
                    "lines": row - before,
                    "counted": _counted(sheet, {before, row}),
                }
                amount = sheet.rows[row].values[0]
                reason = f"It shows the same amounts as {sheet.rows[before].label!r} above."
                source = Suspicion("line_twice", sheet.index, row, None, amount, None, reason,
                                   (before, row), abs(amount or ZERO))  # fmt: skip
                yield suspected("twice", source, numbers)
            before = row


def _counted(sheet: Sheet, rows: set[int]) -> int:
    """How many of some lines a sum takes that holds everywhere and that stands below all of them;
    -1 where there is none.
    """
    for found in sheet.sums:
        begin = min(row for row, _ in found.parts)
        inside = begin <= max(rows) and max(rows) < found.total
        if inside and holding(sheet, found) == len(found.residuals):
            return sum(row in rows for row, _ in found.parts)
    return -1


def finer(context: Context) -> Iterator[Doubt]:
    """Amounts with more digits than the page is printed in."""
    for sheet in context.sheets:
        cells = [(r, c, v) for r in sheet.money for c, v in enumerate(sheet.rows[r].values) if v]
        if sheet.unit == 1 or len(cells) < 10:
            continue
        finer = [(r, c, v) for r, c, v in cells if v.quantize(CENT) % sheet.unit]
        for row, column, value in finer if len(finer) <= MOST_FINER else ():
            grain = Decimal(1)
            while value % (grain * 10) == 0:
                grain *= 10
            cell = Cell(sheet.index, row, column)
            numbers = context.shared("finer", sheet, row, column)
            numbers |= {
                "finer": len(finer),
                "values": len(cells),
                "factor": math.log10(float(sheet.unit / grain)),
                "holds": sum(e.holds for e in context.of_cell[cell]),
                "broken_with_cell": sum(not e.holds for e in context.of_cell[cell]),
            }
            unit = money(sheet.unit)
            reason = f"{money(value)} is finer than the unit of the statement, {unit}."
            expected = (value / sheet.unit).to_integral_value() * sheet.unit
            source = Suspicion("finer_than_unit", sheet.index, row, column, value, expected,
                               reason, (row,), abs(value))  # fmt: skip
            yield suspected("finer", source, numbers)


def uneven(context: Context) -> Iterator[Doubt]:
    """Statements whose amounts are of another size than those of the others."""
    known = {s.statement for s in context.suspicions if s.check == "statement_scale"}
    checked = [s for s in context.sheets if s.statement.statement in CHECKED and s.money]
    for sheet in checked if not known else ():
        others = [other for other in checked if other is not sheet]
        if not others or not context.sizes[sheet.index]:
            continue
        size = math.log10(context.sizes[sheet.index])
        apart = [size - math.log10(context.sizes[o.index] or 1) for o in others]
        least = min(apart, key=abs)
        if abs(least) < UNEVEN:
            continue
        numbers = context.shared("scale", sheet, None, None)
        numbers |= {
            "factor": least,
            "share_spread": max(apart) - min(apart),
            "finer": math.log10(float(sheet.unit / max(o.unit for o in others))),
            "values": len(others),
        }
        words = "larger" if least > 0 else "smaller"
        reason = (
            f"The amounts of the whole {title(sheet.statement.statement)} are "
            f"{10 ** abs(least):,.0f} times {words} than those of the other statements."
        )
        source = Suspicion("statement_scale", sheet.index, None, None, None, None, reason, (),
                           Decimal(10) ** 18)  # fmt: skip
        yield suspected("scale", source, numbers)


def exceeding(context: Context) -> Iterator[Doubt]:
    """Totals of a statement of headlines that a few of their lines exceed."""
    for sheet in context.sheets if context.brief else ():
        if sheet.statement.statement != "balance_sheet":
            continue
        for role, begins in SECTIONS.items():
            total = sheet.first(role)
            start = sheet.first(begins) if begins else 0
            if total is None or start is None or start >= total:
                continue
            first = start + 1 if begins in AFTER else start
            rows = [row for row in sheet.money if first <= row < total]
            yield from _exceeding(context, sheet, rows, total)


SECTIONS = {
    "total_current_assets": "",
    "total_assets": "total_current_assets",
    "total_current_liabilities": "total_assets",
    "total_liabilities": "total_current_liabilities",
}
"""Where the lines of a total begin: at the first line, or at that of another total."""
AFTER = ("total_assets",)
"""Totals that are no line of the section which begins after them."""


def _exceeding(context: Context, sheet: Sheet, rows: Sequence[int], total: int) -> Iterator[Doubt]:
    for column in range(sheet.width):
        whole = sheet.value(total, column)
        values = [v for row in rows if (v := sheet.value(row, column))]
        over = sum(values, ZERO) - (whole or ZERO)
        if not whole or whole <= 0 or over <= sheet.unit or min(values) < 0:
            continue
        others = [
            sum((sheet.amounts[row][c] for row in rows), ZERO) <= sheet.amounts[total][c]
            for c in range(sheet.width)
            if c != column and sheet.amounts[total][c]
        ]
        numbers = context.shared("excess", sheet, total, column)
        numbers |= context.of_sum(sheet, total, [(row, 1) for row in rows])
        numbers |= {
            "share": float(over / whole),
            "lines": len(rows),
            "values": len(values),
            "columns_alike": sum(others),
            "factor": math.log10(1 + float(over / sheet.unit)),
            "gap_is_a_value": over in context.values,
            "holds": sum(e.holds for e in context.of_cell[Cell(sheet.index, total, column)]),
        }
        reason = (
            f"The lines above {sheet.rows[total].label!r} make {money(whole + over)}, "
            f"{money(over)} more than it: one of them is too large, or it is too small."
        )
        source = Suspicion("exceeds_total", sheet.index, total, column, whole, None, reason,
                           (*rows, total), over)  # fmt: skip
        yield suspected("excess", source, numbers)


def _zeros(value: Decimal, unit: Decimal) -> int:
    digits = str(abs(int(value / unit)))
    return len(digits) - len(digits.rstrip("0"))
