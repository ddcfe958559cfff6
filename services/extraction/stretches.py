"""Many stretches of tokens at once: where values are high, and where the ends of that are.

A stretch is [first, end). Values of several labels can stand one after the other in one array, as
long as no stretch reaches from one label into the next.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Stretches = tuple[Integers, Integers]
"""First places [N], and places after the last [N]."""

AT_ONCE = 1_000_000  # values of stretches that are looked at together: about 20 MB


def runs(flags: NDArray[np.bool_]) -> Stretches:
    """Return every run of true flags, in order."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return edges[::2], edges[1::2]


def runs_above(values: Floats, least: float, share: float) -> Stretches:
    """Return runs of values above `least`, of each what reaches a share of its best, in order."""
    above = values > least
    first, end = runs(above)
    if not share or not len(first):
        return first, end
    inside, lengths = values[above], end - first
    best = np.maximum.reduceat(inside, np.cumsum(lengths) - lengths)
    kept = above.copy()
    kept[above] = inside >= np.repeat(share * best, lengths)
    return runs(kept)


def means(values: Floats, first: Integers, end: Integers) -> Floats:
    """Return the mean of each stretch [N], to the bit what numpy has of it alone."""
    lengths = end - first
    order = np.argsort(lengths, kind="stable")
    found = np.empty(len(order), np.float32)
    for alike in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(alike):
            found[alike] = sliding_window_view(values, lengths[alike[0]])[first[alike]].mean(1)
    return found


def highest(values: Floats, first: Integers, end: Integers) -> Floats:
    """Return the highest value of each stretch [N]."""
    order = np.argsort(first, kind="stable")  # what lies between two is looked at as well
    edges = np.column_stack([first[order], end[order]]).reshape(-1)
    found = np.empty(len(order), np.float32)
    found[order] = np.maximum.reduceat(np.append(values, values[:1]), edges)[::2]
    return found


def cut(values: Floats, first: Integers, end: Integers, least: Floats) -> Stretches:
    """Cut the values below `least` [N] off both ends; each stretch has one that is not below."""
    lengths = end - first
    marks = np.arange(AT_ONCE, lengths.sum(), AT_ONCE)
    portions = np.split(np.arange(len(first)), np.searchsorted(np.cumsum(lengths), marks))
    parts = [_cut(values, first[some], end[some], least[some]) for some in portions]
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _cut(values: Floats, first: Integers, end: Integers, least: Floats) -> Stretches:
    lengths = end - first
    before = np.cumsum(lengths) - lengths  # values of earlier stretches
    place = np.repeat(first - before, lengths) + np.arange(lengths.sum())
    kept = np.flatnonzero(values[place] >= np.repeat(least, lengths))
    opening = np.searchsorted(kept, before)
    closing = np.searchsorted(kept, before + lengths) - 1
    return place[kept[opening]], place[kept[closing]] + 1
