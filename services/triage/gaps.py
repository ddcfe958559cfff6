"""Doubts about totals that the lines above them do not make up in any column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from services.triage.context import Context
from services.triage.doubts import Doubt, suspected
from services.triage.experience import holding, open_lines
from services.triage.identities import CHECKED
from services.triage.labels import announces_sum
from services.triage.oddities import MOST_OF_A_KIND
from services.triage.plausibility import Suspicion
from services.triage.relations import Cell, Sheet
from services.triage.wording import money, when

MOST_GAP = 5.0
"""Times a total that the lines above it may be off for a gap."""
RARE_SUM = 0.15
"""Share of others in whom a line is a sum, from which on one that announces a sum should be."""


def gaps(context: Context) -> Iterator[Doubt]:
    """Totals that the lines above them do not make up in any column."""
    for sheet in context.sheets:
        if sheet.statement.statement not in CHECKED:
            continue
        found: list[Doubt] = []
        for row, as_sum, above in open_lines(sheet):
            if as_sum or not above or _is_made(context, sheet, row):
                continue
            if _repeats(sheet, row) or not _is_usual(context, sheet, row):
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


def _repeats(sheet: Sheet, row: int) -> bool:
    """Whether a line shows what a sum shows already, as a statement does that begins again, or the
    other side of a balance sheet: it is the same amount, whatever stands between.
    """
    amounts = sheet.amounts[row]
    return any(amounts) and any(
        found.total < row and sheet.amounts[found.total] == amounts for found in sheet.sums
    )


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
        **_beside(sheet, row, lines),
        "opposite": len(size) == 2 and sum(gaps) == 0,
    }
    if len(size) == 2 and not sum(gaps):
        first, second = (c for c in columns if short[c])
        exchanged = _exchanged(sheet, row, signs, short, (first, second))
        if exchanged:
            numbers["swapped_pattern"] = True
            return suspected("gap", exchanged, numbers)
    reason = (
        f"The lines above {sheet.rows[row].label!r} {missed_by(sheet, columns, gaps)}: "
        "a line seems to be missing, or to be a wrong one."
    )
    source = Suspicion("missing_line", sheet.index, lines[-1] + 1, None, None, gaps[0], reason,
                       (*lines, row), max(size))  # fmt: skip
    return suspected("gap", source, numbers)


def missed_by(sheet: Sheet, columns: Sequence[int], gaps: Sequence[Decimal]) -> str:
    """In how many columns lines don't add up to their total, and by how much there."""
    off = [
        f"{money(gap)}{when(sheet.statement.columns[column].end, column)}"
        for column, gap in zip(columns, gaps, strict=True)
        if gap
    ]
    words = ", ".join(off)
    if len(off) == len(gaps):
        return f"do not add up to it in any column, by {words}"
    return f"add up to it in {len(gaps) - len(off)} of {len(gaps)} columns, and miss it by {words}"


def _beside(sheet: Sheet, total: int, lines: Sequence[int]) -> dict[str, float]:
    """Whether a sum that holds takes a line and the one above it alike, so that neither is a part
    of the other; and how many of the lines above such a sum leaves out between its own parts.
    """
    beside = left_out = 0
    for found in sheet.sums:
        taken = {row for row, _ in found.parts}
        if total in taken and holding(sheet, found) == len(found.residuals):
            beside = max(beside, lines[-1] in taken)
            between = [line for line in lines if min(taken) < line < found.total]
            left_out = max(left_out, sum(line not in taken for line in between))
    announced = [row for row in sheet.money if announces_sum(sheet.rows[row].label)]
    totals = {found.total for found in sheet.sums}
    return {
        "beside": beside,
        "left_out": left_out,
        "sums_here": sum(row in totals for row in announced) / max(len(announced), 1),
    }


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
            f"The lines above {label!r} miss it by {money(short[first])} and "
            f"{money(short[second])}: both are closed if {money(here)} and {money(there)} change "
            "places."
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
