"""Suspect totals that the lines above do not make in any column.

Other totals may make such a total: total assets less total liabilities are the total equity. The
lines between may still lack one. That is suspected only if each of these totals is a sum itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from services.triage.checks.context import FilingContext
from services.triage.checks.line_suspects import MOST_OF_A_KIND
from services.triage.checks.plausibility import Anomaly
from services.triage.checks.suspects import Suspect, from_anomaly
from services.triage.relations.labels import announces_sum
from services.triage.relations.learned_sums import count_holding, open_lines
from services.triage.relations.message_format import format_column_end, money
from services.triage.relations.relations import Cell, StatementView
from services.triage.statements.model import CHECKED

MOST_GAP = 5.0  # multiples of a total that the lines above may be off
RARE_SUM = 0.15  # share of companies in which a line must be a sum if its label announces one


def total_gaps(context: FilingContext) -> Iterator[Suspect]:
    """Totals that the lines above do not make in any column."""
    for view in context.views:
        if view.kind not in CHECKED:
            continue
        suspects: list[Suspect] = []
        totals = {total.total for total in view.sums}
        for row, as_sum, above in open_lines(view):
            by_totals = (
                as_sum is not None
                and as_sum.pattern in ("headlines", "presented")
                and all(part in totals for part, _ in as_sum.parts)
            )
            made = as_sum or any(
                Cell(view.index, row, c) in context.made for c in range(view.width)
            )
            if not above or (made and not by_totals) or _repeats(view, row):
                continue
            if _is_usual(context, view, row) and (gap := _gap(context, view, row, above)):
                suspects.append(gap)
        suspects.sort(key=lambda d: -d.numbers.get("total_holds", 0.0))
        for suspect in suspects[:MOST_OF_A_KIND]:
            yield replace(suspect, numbers={**suspect.numbers, "gaps": len(suspects)})


def _is_usual(context: FilingContext, view: StatementView, row: int) -> bool:
    """Whether the line is a sum in other companies, or, if unknown, by its label."""
    label, key = view.rows[row].label, context.key(view, row)
    counts = context.patterns.totals.get(key)
    if counts is None:
        return key not in context.patterns.lines and announces_sum(label)
    return counts[1] > (RARE_SUM if announces_sum(label) else 0.5) * counts[0]


def _repeats(view: StatementView, row: int) -> bool:
    """Whether a line repeats the amounts of an earlier sum."""
    amounts = view.amounts[row]
    return any(amounts) and any(
        earlier.total < row and view.amounts[earlier.total] == amounts for earlier in view.sums
    )


def _gap(
    context: FilingContext, view: StatementView, row: int, above: Sequence[int]
) -> Suspect | None:
    total = view.amounts[row]
    columns = [c for c, v in enumerate(total) if v]
    if not columns:
        return None
    best: tuple[float, int, str, list[Decimal]] | None = None
    for mode in ("plus", "less", "usual") if view.kind == "income" else ("plus", "usual"):
        remaining = list(total)
        for depth in range(1, min(len(above), 40) + 1):
            line = above[-depth]
            values = view.amounts[line]
            if mode == "less":
                short = [a - b for a, b in zip(remaining, values, strict=True)]
                remaining = [a + b for a, b in zip(remaining, values, strict=True)]
            else:
                sign = _usual_sign(context, view, row, line) if mode == "usual" else 1
                remaining = [a - sign * b for a, b in zip(remaining, values, strict=True)]
                short = remaining
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
        (line, _usual_sign(context, view, row, line) if mode == "usual" else
         -1 if mode == "less" and line != lines[0] else 1)
        for line in lines
    ]  # fmt: skip
    spread = [abs(float(short[c] / total[c])) for c in columns]
    missed = [float(gap) for gap in gaps]
    size = [abs(g) for g in gaps if g]
    numbers = context.shared("gap", view, row, None) | context.of_sum(view, row, signs)
    numbers |= {
        "share": share,
        "share_spread": max(spread) / (min(spread) + 1e-6) if min(spread) else 1e3,
        "lines": len(lines),
        "left_over": len(above) - depth,
        "gap_is_a_value": sum(g in context.values for g in size) / len(gaps),
        "gap_twice_a_value": sum(g / 2 in context.values for g in size) / len(gaps),
        **_absent(context, view, row, missed),
        **_by_parts(context, view, row, above, short),
        "gap_below": sum((short[c] > 0) != (total[c] > 0) for c in columns if short[c])
        / len(columns),
        "columns_alike": len({g > 0 for g in gaps if g}) == 1 and len(size) == len(gaps),
        "factor": math.log10(1 + float(max(size)) / float(view.unit)),
        "holds": sum(context.holding(Cell(view.index, row, c)) for c in columns),
        "zeros": sum(not g for g in gaps),
        "heading_before": view.rows[lines[0] - 1].heading if lines[0] else True,
        "by_label": mode == "usual",
        **_sum_context(view, row, lines),
        "opposite": len(size) == 2 and sum(gaps) == 0,
    }
    if len(size) == 2 and not sum(gaps):
        first, second = (c for c in columns if short[c])
        exchanged = _exchanged(view, row, signs, short, (first, second))
        if exchanged:
            numbers["swapped_pattern"] = True
            return from_anomaly("gap", exchanged, numbers)
    reason = f"The lines above {view.rows[row].label!r} {describe_gaps(view, columns, gaps)}."
    source = Anomaly("missing_line", view.index, lines[-1] + 1, None, None, gaps[0], reason,
                       (*lines, row), max(size))  # fmt: skip
    return from_anomaly("gap", source, numbers)


def describe_gaps(view: StatementView, columns: Sequence[int], gaps: Sequence[Decimal]) -> str:
    """In how many columns lines miss their total, and by how much."""
    off = [
        f"{money(gap)}{format_column_end(view.statement.columns, column)}"
        for column, gap in zip(columns, gaps, strict=True)
        if gap
    ]
    words = ", ".join(off)
    if len(off) == len(gaps):
        return f"do not add up to it in any column, by {words}"
    return f"add up to it in {len(gaps) - len(off)} of {len(gaps)} columns, and miss it by {words}"


def _sum_context(view: StatementView, total: int, lines: Sequence[int]) -> dict[str, float]:
    """Whether a complete sum takes this line and the line above, and how many lines it omits."""
    equals = skipped = 0
    for total_sum in view.sums:
        taken = {row for row, _ in total_sum.parts}
        if total in taken and count_holding(view, total_sum) == len(total_sum.residuals):
            equals = max(equals, lines[-1] in taken)
            between = [line for line in lines if min(taken) < line < total_sum.total]
            skipped = max(skipped, sum(line not in taken for line in between))
    announced = [row for row in view.money if announces_sum(view.rows[row].label)]
    totals = {total_sum.total for total_sum in view.sums}
    return {
        "beside": equals,
        "left_out": skipped,
        "sums_here": sum(row in totals for row in announced) / max(len(announced), 1),
    }


def _exchanged(
    view: StatementView,
    total: int,
    parts: Sequence[tuple[int, int]],
    short: Sequence[Decimal],
    columns: tuple[int, int],
) -> Anomaly | None:
    """One line whose exchanged amounts close two opposite gaps."""
    first, second = columns
    for line, sign in ((total, -1), *parts):
        here, there = view.value(line, first), view.value(line, second)
        if here is None or there is None or (there - here) * sign != short[first]:
            continue
        label = view.rows[total].label
        reason = (
            f"The lines above {label!r} miss it by {money(short[first])} and "
            f"{money(short[second])}: both gaps close if {money(here)} and {money(there)} are "
            "swapped."
        )
        return Anomaly("swapped_columns", view.index, line, first, here, there, reason,
                         (*(row for row, _ in parts), total), abs(short[first]))  # fmt: skip
    return None


def _usual_sign(context: FilingContext, view: StatementView, total: int, part: int) -> int:
    counts = context.part_counts(view, total, part)
    return -1 if counts and counts[1] > counts[0] else 1


def _by_parts(
    context: FilingContext,
    view: StatementView,
    total: int,
    above: Sequence[int],
    short: Sequence[Decimal],
) -> dict[str, float]:
    """The remainder after subtracting the usual parts of such a total."""
    remaining, parts = list(view.amounts[total]), 0
    for line in above:
        counts = context.part_counts(view, total, line)
        if counts and counts[0] + counts[1] > counts[2]:
            sign = 1 if counts[0] >= counts[1] else -1
            remaining = [a - sign * b for a, b in zip(remaining, view.amounts[line], strict=True)]
            parts += 1
    amounts = view.amounts[total]
    shares = [abs(float(a / b)) for a, b in zip(remaining, amounts, strict=True) if b]
    if not parts or not shares:
        return {}
    return {
        "usual_parts": parts,
        "usual_share": min(sum(shares) / len(shares), 10.0),
        "usual_same": sum(a == b for a, b in zip(remaining, short, strict=True)) / len(short),
    }


def _absent(
    context: FilingContext, view: StatementView, total: int, gaps: Sequence[float]
) -> dict[str, float]:
    """Scores of missing usual parts: by frequency, size, size and sign, and their number."""
    key = context.key(view, total)
    met = context.patterns.totals.get(key)
    if not met or not met[1]:
        return {}
    there, size_of_statement = context.names[view.index], context.sizes[view.index] or 1
    sizes = [math.log10(abs(gap) / size_of_statement) if gap else None for gap in gaps]
    middle = math.log10((median(abs(gap) for gap in gaps) or 1) / size_of_statement)
    often = fits = every = lacks = 0.0
    for part, counts in context.patterns.parts.get(key, {}).items():
        if part in there or not counts[0] + counts[1]:
            continue
        share = (counts[0] + counts[1]) / met[1]
        often, lacks = max(often, share), lacks + share
        if pattern := context.patterns.lines.get(f"{view.kind}|{part}"):
            added = counts[0] / (counts[0] + counts[1])
            above = added * (1 - pattern[1]) + (1 - added) * pattern[1]
            fits = max(fits, share * _near(middle, pattern))
            near = [
                0.5 if size is None else _near(size, pattern) * (above if gap > 0 else 1 - above)
                for gap, size in zip(gaps, sizes, strict=True)
            ]
            every = max(every, share * sum(near) / len(near))
    names = ("expected_line", "expected_size", "expected_fits", "expected_lacks")
    return dict(zip(names, (often, fits, every, lacks), strict=True))


def _near(size: float, pattern: Sequence[float]) -> float:
    """How near a size is to the usual one: 1 if equal."""
    far = (size - pattern[2]) / (pattern[3] + 0.2)
    return math.exp(-far * far / 2)
