"""How a page presents the parts of a sum: with the other sign, or beside a subtotal of their own.

A cost may stand there as a positive amount that is subtracted, and a subtotal among the lines that
it is the sum of. What plain adding misses is then the same few lines in every column, so a total
that they close everywhere is taken for the sum of its lines, in the signs that close it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

Amounts = tuple[Decimal, ...]
Line = tuple[int, int, Amounts]
"""Row, sign in which it is added, and its amounts in the columns that count."""

DEEPEST_PAIR = 24
"""Lines above a total among which two are looked for that are taken otherwise."""
LONGEST_RUN = 8
"""Lines one after the other that are left out together, as those of a subtotal that stands there as
well, or are added though another line took them.
"""
LIKELY = 1.0
"""Digits that a sum needs less where its lines are those that a doubtful sum took away, or where
the line below the total belongs above it.
"""


@dataclass(frozen=True)
class Elsewhere:
    """Lines that are not open above a total and may be parts of it all the same."""

    rows: tuple[int, ...]
    amounts: Amounts
    """What they make, in the columns that count."""
    likely: bool = False
    """Whether they are all lines of one sum, or the line right below the total."""
    turned: bool = False
    """Whether they may be taken with the other sign as well."""


def closed(
    total: Amounts,
    lines: Sequence[Line],
    limit: Decimal,
    unit: Decimal,
    elsewhere: Sequence[Elsewhere] = (),
) -> tuple[list[tuple[int, int]], float] | None:
    """The parts that make up a total in every column, once a few lines are taken otherwise.

    Args:
        total: its amounts in the columns that count, two at least.
        lines: those above it that no sum has taken, the nearest first.
        limit: what rounding may leave.
        unit: of presentation.
        elsewhere: lines that are looked at if those above do not close it.

    Returns:
        Row and sign of each part, the nearest first, and the decimal digits in which the lines
        agree, less those of the tries; None if nothing closes it.
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
        ways: list[Way] = [(way, (), 0.0) for way in _one(gaps, added[:depth], first, limit)]
        if not ways:
            ways = list(_several(gaps, added[:depth], runs, elsewhere))
        for otherwise, more, less in ways:
            agree = sum(math.log10(abs(float(gap / unit)) + 1) for gap in gaps)
            weight = agree - math.log10(tries + depth * depth) - less
            if best is None or weight > best[1]:
                taken = [otherwise.get(i, 1) * signs[i] for i in range(depth)]
                parts = [(lines[i][0], sign) for i, sign in enumerate(taken) if sign]
                best = [*more, *parts], weight
        tries += depth * 2
    return best


Way = tuple[dict[int, int], tuple[tuple[int, int], ...], float]
"""Lines taken otherwise (0 left out, -1 turned), rows from elsewhere with their signs, and the
digits of the further tries that this is one of.
"""


def _less(one: Amounts, other: Amounts) -> Amounts:
    return tuple(a - b for a, b in zip(one, other, strict=True))


def _add_runs(runs: dict[Amounts, range], added: Sequence[Amounts], depth: int) -> None:
    """Enter the sums of the lines one after the other that end with the deepest, two at least."""
    whole = added[depth - 1]
    for begin in range(depth - 2, max(-1, depth - 1 - LONGEST_RUN), -1):
        whole = tuple(a + b for a, b in zip(whole, added[begin], strict=True))
        runs.setdefault(whole, range(begin, depth))


def _several(
    gaps: Amounts,
    added: Sequence[Amounts],
    runs: Mapping[Amounts, range],
    elsewhere: Sequence[Elsewhere],
) -> Iterator[Way]:
    """Ways that take several lines otherwise, the likeliest first; to the last digit."""
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
    for way in _two(gaps, added) if len(added) <= DEEPEST_PAIR else ():
        yield way, (), 0.0


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


TAKEN_OTHERWISE = ((2, 2), (1, 1), (1, 2), (2, 1))
"""How many times two lines are taken away: once leaves one out, twice turns it."""


def _two(gaps: Amounts, added: Sequence[Amounts]) -> Iterator[dict[int, int]]:
    """Two lines that close the gaps in every column if each is left out or turned."""
    for one, two in TAKEN_OTHERWISE:
        seen: dict[Decimal, list[int]] = {}
        for i, amounts in enumerate(added):
            wanted = -gaps[0] - two * amounts[0]
            for other in seen.get(wanted, ()):
                if all(
                    one * b + two * a == -gap
                    for a, b, gap in zip(amounts, added[other], gaps, strict=True)
                ):
                    yield {i: 1 - two, other: 1 - one}
                    break
            seen.setdefault(one * amounts[0], []).append(i)
