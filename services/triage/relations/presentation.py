"""Find sums whose parts are presented with another sign, or beside a subtotal.

A cost may be printed positive but subtracted, and a subtotal may stand among its own lines. Then
plain adding misses the total by the same few lines in every column. So a total counts as a sum if
adjusting a few lines closes it in every column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

Amounts = tuple[Decimal, ...]
Line = tuple[int, int, Amounts]  # row, sign in which it is added, and its amounts

DEEPEST_PAIR = 24  # lines above a total among which two adjusted lines are searched
LONGEST_RUN = 8  # consecutive lines that may be left out, or added from elsewhere, together
LIKELY = 1.0
"""Digits of agreement that a sum may lack if its lines come from one doubtful sum or from right
below the total."""


@dataclass(frozen=True)
class DistantLines:
    """Lines that are not open above a total but may still be its parts."""

    rows: tuple[int, ...]
    amounts: Amounts  # their sum, in the columns that count
    likely: bool = False  # whether they are all lines of one sum, or the line right below the total
    turned: bool = False  # whether they may have the other sign as well


def close_total(
    total: Amounts,
    lines: Sequence[Line],
    limit: Decimal,
    unit: Decimal,
    elsewhere: Sequence[DistantLines] = (),
) -> tuple[list[tuple[int, int]], float] | None:
    """Find the parts that make a total in every column, with a few lines adjusted.

    `total` has the columns that count, at least two. `lines` are the open lines above it, the
    nearest first. If they do not close it, lines `elsewhere` are tried. Rounding may leave `limit`.
    Returns row and sign of each part, and the decimal digits of agreement less those of the tries.
    """
    signs = [sign for _, sign, _ in lines]
    added = [tuple(sign * amount for amount in amounts) for _, sign, amounts in lines]
    first = [float(amounts[0]) for amounts in added]
    gaps, tries = total, 0
    best: tuple[list[tuple[int, int]], float] | None = None
    runs: dict[Amounts, range] = {}
    for depth, amounts in enumerate(added, 1):
        gaps = _less(gaps, amounts)
        _add_runs(runs, added, depth)
        if depth < 2:
            continue
        adjustments: list[Adjustment] = [
            (adjustment, (), 0.0)
            for adjustment in _single_adjustments(gaps, added[:depth], first, limit)
        ]
        if not adjustments:
            adjustments = list(_multiple_adjustments(gaps, added[:depth], runs, elsewhere))
        for otherwise, more, less in adjustments:
            agree = sum(math.log10(abs(float(gap / unit)) + 1) for gap in gaps)
            weight = agree - math.log10(tries + depth * depth) - less
            if best is None or weight > best[1]:
                taken = [otherwise.get(i, 1) * signs[i] for i in range(depth)]
                parts = [(lines[i][0], sign) for i, sign in enumerate(taken) if sign]
                best = [*more, *parts], weight
        tries += depth * 2
    return best


Adjustment = tuple[dict[int, int], tuple[tuple[int, int], ...], float]
"""Adjusted lines (0 left out, -1 turned), rows from elsewhere with signs, and the digits of
further tries."""


def _less(amounts: Amounts, others: Amounts) -> Amounts:
    return tuple(a - b for a, b in zip(amounts, others, strict=True))


def _add_runs(runs: dict[Amounts, range], added: Sequence[Amounts], depth: int) -> None:
    """Enter the sums of consecutive lines that end with the deepest."""
    total = added[depth - 1]
    for begin in range(depth - 2, max(-1, depth - 1 - LONGEST_RUN), -1):
        total = tuple(a + b for a, b in zip(total, added[begin], strict=True))
        runs.setdefault(total, range(begin, depth))


def _multiple_adjustments(
    gaps: Amounts,
    added: Sequence[Amounts],
    runs: Mapping[Amounts, range],
    elsewhere: Sequence[DistantLines],
) -> Iterator[Adjustment]:
    """Adjustments of several lines, the likeliest first; exact only."""
    if (run := runs.get(tuple(-gap for gap in gaps))) is not None:
        yield dict.fromkeys(run, 0), (), math.log10(LONGEST_RUN)
        return
    for sign in (1, -1):
        wanted = gaps if sign > 0 else tuple(-gap for gap in gaps)
        for other in elsewhere:
            if other.amounts == wanted and (sign > 0 or other.turned):
                less = -LIKELY if other.likely else math.log10(len(elsewhere))
                yield {}, tuple((row, sign) for row in other.rows), less
                return
    for adjustment in _double_adjustments(gaps, added) if len(added) <= DEEPEST_PAIR else ():
        yield adjustment, (), 0.0


def _single_adjustments(
    gaps: Amounts, added: Sequence[Amounts], first: Sequence[float], limit: Decimal
) -> Iterator[dict[int, int]]:
    """Single lines that close the gaps in every column if left out (0) or turned (-1)."""
    gap, near = float(gaps[0]), float(limit) + abs(float(gaps[0])) * 1e-9
    for i, amounts in enumerate(added):
        amount = first[i]
        for times in (1, 2):
            gap_left = gap + times * amount
            if -near <= gap_left <= near and all(
                abs(g + times * a) <= limit for g, a in zip(gaps, amounts, strict=True)
            ):
                yield {i: 1 - times}


TAKEN_OTHERWISE = ((2, 2), (1, 1), (1, 2), (2, 1))  # once left out, twice turned


def _double_adjustments(gaps: Amounts, added: Sequence[Amounts]) -> Iterator[dict[int, int]]:
    """Two lines that close the gaps in every column if left out or turned."""
    for times, other_times in TAKEN_OTHERWISE:
        seen: dict[Decimal, list[int]] = {}
        for i, amounts in enumerate(added):
            wanted = -gaps[0] - other_times * amounts[0]
            for other in seen.get(wanted, ()):
                if all(
                    times * b + other_times * a == -gap
                    for a, b, gap in zip(amounts, added[other], gaps, strict=True)
                ):
                    yield {i: 1 - other_times, other: 1 - times}
                    break
            seen.setdefault(times * amounts[0], []).append(i)
