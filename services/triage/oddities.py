"""Doubts about a line as such: gaps below a total, proportions, signs, repetitions, units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from services.triage.context import Context
from services.triage.doubts import Doubt, suspected
from services.triage.experience import bare, holding, open_lines
from services.triage.identities import CHECKED
from services.triage.labels import announces_sum
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Sheet
from services.triage.sums import ZERO

MOST_OF_A_KIND = 6
MOST_GAP = 5.0
"""Times a total that the lines above it may be off for a gap."""
RARE_SUM = 0.15
"""Share of others in whom a line is a sum, from which on one that announces a sum should be."""
OUT_OF_PROPORTION = 25.0
MOST_FINER = 3
"""Amounts of a statement that may be finer than its unit for that to be odd."""
RARE_SIGN = 0.1
"""Share of others that show a sign, below which it is odd."""


# Totals that lack a line


def gaps(context: Context) -> Iterator[Doubt]:
    """Totals that the lines above them do not make up in any column."""
    for sheet in context.sheets:
        if sheet.statement.statement not in CHECKED:
            continue
        found: list[Doubt] = []
        for row, as_sum, above in open_lines(sheet):
            if as_sum or not above or _is_made(context, sheet, row):
                continue
            if not _is_usual(context, sheet, row):
                continue
            gap = _gap(context, sheet, row, above)
            if gap:
                found.append(gap)
        found.sort(key=lambda d: -d.numbers.get("total_holds", 0.0))
        for doubt in found[:MOST_OF_A_KIND]:
            yield replace(doubt, numbers={**doubt.numbers, "gaps": len(found)})


def _is_usual(context: Context, sheet: Sheet, row: int) -> bool:
    """Whether others have such a line as a sum, or, where nobody knows it, its label says so."""
    label, kind = sheet.rows[row].label, sheet.statement.statement
    key = f"{kind}|{context.experience.name(kind, label)}"
    known = context.experience.totals.get(key)
    if known is None:
        return key not in context.experience.lines and announces_sum(label)
    return known[1] > (RARE_SUM if announces_sum(label) else 0.5) * known[0]


def _is_made(context: Context, sheet: Sheet, row: int) -> bool:
    """Whether a relation by label makes up a total somewhere."""
    return any(Cell(sheet.index, row, column) in context.made for column in range(sheet.width))


def _gap(context: Context, sheet: Sheet, row: int, above: Sequence[int]) -> Doubt | None:
    total = sheet.amounts[row]
    columns = [c for c, v in enumerate(total) if v]
    if not columns:
        return None
    best: tuple[float, int, str, list[Decimal]] | None = None
    for mode in (
        ("plus", "less", "usual") if sheet.statement.statement == "income" else ("plus", "usual")
    ):
        left = list(total)
        for depth in range(1, min(len(above), 40) + 1):
            line = above[-depth]
            values = sheet.amounts[line]
            if mode == "less":
                short = [a - b for a, b in zip(left, values, strict=True)]
                left = [a + b for a, b in zip(left, values, strict=True)]
            else:
                sign = _usual_sign(context, sheet, row, line) if mode == "usual" else 1
                left = [a - sign * b for a, b in zip(left, values, strict=True)]
                short = left
            shares = [abs(float(short[c] / total[c])) for c in columns]
            share = sum(shares) / len(shares)
            if best is None or share < best[0]:
                best = (share, depth, mode, list(short))
    if best is None or best[0] > MOST_GAP or not best[0]:
        return None
    share, depth, mode, short = best
    lines = above[-depth:]
    gaps = [short[c] for c in columns]
    signs = [
        (line, _usual_sign(context, sheet, row, line) if mode == "usual" else
         -1 if mode == "less" and line != lines[0] else 1)
        for line in lines
    ]  # fmt: skip
    spread = [abs(float(short[c] / total[c])) for c in columns]
    missed = [float(gap) for gap in gaps]
    size = [abs(g) for g in gaps if g]
    numbers = context.shared("gap", sheet, row, None) | context.of_sum(sheet, row, signs)
    numbers |= {
        "share": share,
        "share_spread": max(spread) / (min(spread) + 1e-6) if min(spread) else 1e3,
        "lines": len(lines),
        "left_over": len(above) - depth,
        "gap_is_a_value": sum(g in context.values for g in size) / len(gaps),
        "gap_twice_a_value": sum(g / 2 in context.values for g in size) / len(gaps),
        **_absent(context, sheet, row, missed),
        **_by_parts(context, sheet, row, above, short),
        "gap_below": sum((short[c] > 0) != (total[c] > 0) for c in columns if short[c])
        / len(columns),
        "columns_alike": len({g > 0 for g in gaps if g}) == 1 and len(size) == len(gaps),
        "factor": math.log10(1 + float(max(size)) / float(sheet.unit)),
        "holds": sum(e.holds for c in columns for e in context.of_cell[Cell(sheet.index, row, c)]),
        "zeros": sum(not g for g in gaps),
        "heading_before": sheet.rows[lines[0] - 1].heading if lines[0] else True,
        "by_label": mode == "usual",
        "opposite": len(size) == 2 and sum(gaps) == 0,
    }
    if len(size) == 2 and not sum(gaps):
        first, second = (c for c in columns if short[c])
        exchanged = _exchanged(sheet, row, signs, short, (first, second))
        if exchanged:
            numbers["swapped_pattern"] = True
            return suspected("gap", exchanged, numbers)
    words = ", ".join(f"{gap:,f}" for gap in gaps)
    reason = (
        f"The lines above {sheet.rows[row].label!r} do not add up to it in any column, "
        f"by {words}: a line seems to be missing, or to be a wrong one."
    )
    source = Suspicion("missing_line", sheet.index, lines[-1] + 1, None, None, gaps[0], reason,
                       (*lines, row), max(size))  # fmt: skip
    return suspected("gap", source, numbers)


def _exchanged(
    sheet: Sheet,
    total: int,
    parts: Sequence[tuple[int, int]],
    short: Sequence[Decimal],
    columns: tuple[int, int],
) -> Suspicion | None:
    """One line whose two amounts change places to close two opposite gaps."""
    first, second = columns
    for line, sign in ((total, -1), *parts):
        here, there = sheet.value(line, first), sheet.value(line, second)
        if here is None or there is None or (there - here) * sign != short[first]:
            continue
        label = sheet.rows[total].label
        reason = (
            f"The lines above {label!r} miss it by {short[first]:,f} and {short[second]:,f}: "
            f"both are closed if {here:,f} and {there:,f} change places."
        )
        return Suspicion("swapped_columns", sheet.index, line, first, here, there, reason,
                         (*(row for row, _ in parts), total), abs(short[first]))  # fmt: skip
    return None


def _usual_sign(context: Context, sheet: Sheet, total: int, part: int) -> int:
    kind = sheet.statement.statement
    table = context.experience.parts.get(
        f"{kind}|{context.experience.name(kind, sheet.rows[total].label)}", {}
    )
    counts = table.get(context.experience.name(kind, sheet.rows[part].label))
    return -1 if counts and counts[1] > counts[0] else 1


def _by_parts(
    context: Context, sheet: Sheet, total: int, above: Sequence[int], short: Sequence[Decimal]
) -> dict[str, float]:
    """What the lines leave that are parts of such a total in most other companies."""
    kind = sheet.statement.statement
    key = f"{kind}|{context.experience.name(kind, sheet.rows[total].label)}"
    table = context.experience.parts.get(key, {})
    left, parts = list(sheet.amounts[total]), 0
    for line in above:
        counts = table.get(context.experience.name(kind, sheet.rows[line].label))
        if counts and counts[0] + counts[1] > counts[2]:
            sign = 1 if counts[0] >= counts[1] else -1
            left = [a - sign * b for a, b in zip(left, sheet.amounts[line], strict=True)]
            parts += 1
    whole = sheet.amounts[total]
    shares = [abs(float(a / b)) for a, b in zip(left, whole, strict=True) if b]
    if not parts or not shares:
        return {}
    return {
        "usual_parts": parts,
        "usual_share": min(sum(shares) / len(shares), 10.0),
        "usual_same": sum(a == b for a, b in zip(left, short, strict=True)) / len(short),
    }


def _absent(context: Context, sheet: Sheet, total: int, gaps: Sequence[float]) -> dict[str, float]:
    """How often the likeliest line that is not there takes part in such a total, and the same for
    one whose usual size, or size and sign in every column, are those of the gap; and how many
    lines such a total lacks, as others have it.
    """
    kind = sheet.statement.statement
    key = f"{kind}|{context.experience.name(kind, sheet.rows[total].label)}"
    met = context.experience.totals.get(key)
    if not met or not met[1]:
        return {}
    there, whole = context.names[sheet.index], context.sizes[sheet.index] or 1
    sizes = [math.log10(abs(gap) / whole) if gap else None for gap in gaps]
    middle = math.log10(median(abs(gap) for gap in gaps) / whole or 1 / whole)
    often = fits = every = lacks = 0.0
    for part, counts in context.experience.parts.get(key, {}).items():
        if part in there or not counts[0] + counts[1]:
            continue
        share = (counts[0] + counts[1]) / met[1]
        often, lacks = max(often, share), lacks + share
        if known := context.experience.lines.get(f"{kind}|{part}"):
            added = counts[0] / (counts[0] + counts[1])
            above = added * (1 - known[1]) + (1 - added) * known[1]
            fits = max(fits, share * _near(middle, known))
            near = [
                0.5 if size is None else _near(size, known) * (above if gap > 0 else 1 - above)
                for gap, size in zip(gaps, sizes, strict=True)
            ]
            every = max(every, share * sum(near) / len(near))
    return {
        "expected_line": often,
        "expected_size": fits,
        "expected_fits": every,
        "expected_lacks": lacks,
    }


def _near(size: float, known: Sequence[float]) -> float:
    """How near a size is to that of a line, 1 where it is the usual one."""
    far = (size - known[2]) / (known[3] + 0.2)
    return math.exp(-far * far / 2)


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
            f"{value:,f} is {large:,.0f} times as {'much' if factor > 1 else 'little'} as the "
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
        reason = f"{value:,f} has the opposite sign of " + (
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
        finer = [(r, c, v) for r, c, v in cells if v % sheet.unit]
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
            unit = f"{sheet.unit:,f}"
            reason = f"{value:,f} is finer than the unit of the statement, {unit}."
            expected = (value / sheet.unit).to_integral_value() * sheet.unit
            source = Suspicion("finer_than_unit", sheet.index, row, column, value, expected,
                               reason, (row,), abs(value))  # fmt: skip
            yield suspected("finer", source, numbers)


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
            f"The lines above {sheet.rows[total].label!r} make {whole + over:,f}, "
            f"{over:,f} more than it: one of them is too large, or it is too small."
        )
        source = Suspicion("exceeds_total", sheet.index, total, column, whole, None, reason,
                           (*rows, total), over)  # fmt: skip
        yield suspected("excess", source, numbers)


def _zeros(value: Decimal, unit: Decimal) -> int:
    digits = str(abs(int(value / unit)))
    return len(digits) - len(digits.rstrip("0"))
