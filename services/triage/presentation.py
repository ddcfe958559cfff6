"""How a page presents the parts of a sum: with the other sign, or beside a subtotal of their own.

A cost may stand there as a positive amount that is subtracted, and a subtotal among the lines that
it is the sum of. What plain adding misses is then the same few lines in every column, so a total
that they close everywhere is taken for the sum of its lines, in the signs that close it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

Amounts = tuple[Decimal, ...]
Line = tuple[int, int, Amounts]
"""Row, sign in which it is added, and its amounts in the columns that count."""

DEEPEST_PAIR = 24
"""Lines above a total among which two are looked for that have the other sign."""


def closed(
    total: Amounts, lines: Sequence[Line], limit: Decimal, unit: Decimal
) -> tuple[list[tuple[int, int]], float] | None:
    """The parts that make up a total in every column, once a line or two are taken otherwise.

    Args:
        total: its amounts in the columns that count, two at least.
        lines: those above it that no sum has taken, the nearest first.
        limit: what rounding may leave.
        unit: of presentation.

    Returns:
        Row and sign of each part, the nearest first, and the decimal digits in which the lines
        agree, less those of the tries; None if nothing closes it.
    """
    signs = [sign for _, sign, _ in lines]
    added = [tuple(sign * amount for amount in amounts) for _, sign, amounts in lines]
    first = [float(amounts[0]) for amounts in added]
    gaps, tries = total, 0
    best: tuple[list[tuple[int, int]], float] | None = None
    for depth, amounts in enumerate(added, 1):
        gaps = tuple(gap - amount for gap, amount in zip(gaps, amounts, strict=True))
        if depth < 2:
            continue
        ways = list(_one(gaps, added[:depth], first, limit))
        if not ways and depth <= DEEPEST_PAIR:
            ways = list(_two(gaps, added[:depth]))
        for otherwise in ways:
            agree = sum(math.log10(abs(float(gap / unit)) + 1) for gap in gaps)
            weight = agree - math.log10(tries + depth * depth)
            if best is None or weight > best[1]:
                taken = [otherwise.get(i, 1) * signs[i] for i in range(depth)]
                best = [(lines[i][0], sign) for i, sign in enumerate(taken) if sign], weight
        tries += depth * 2
    return best


def _one(
    gaps: Amounts, added: Sequence[Amounts], first: Sequence[float], limit: Decimal
) -> Iterator[dict[int, int]]:
    """Lines of which one, left out (0) or turned (-1), closes the gaps in every column."""
    gap, near = float(gaps[0]), float(limit) + abs(float(gaps[0])) * 1e-9
    for i, amounts in enumerate(added):
        amount = first[i]
        for times in (1, 2):
            gap_left = gap + times * amount
            if -near <= gap_left <= near and all(
                abs(g + times * a) <= limit for g, a in zip(gaps, amounts, strict=True)
            ):
                yield {i: 1 - times}


def _two(gaps: Amounts, added: Sequence[Amounts]) -> Iterator[dict[int, int]]:
    """Two lines that close the gaps in every column if both are turned."""
    half = tuple(-gap / 2 for gap in gaps)
    seen: dict[Decimal, list[int]] = {}
    for i, amounts in enumerate(added):
        for other in seen.get(half[0] - amounts[0], ()):
            if all(a + b == h for a, b, h in zip(amounts, added[other], half, strict=True)):
                yield {i: -1, other: -1}
                break
        seen.setdefault(amounts[0], []).append(i)
