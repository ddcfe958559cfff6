"""Vectorised operations on many intervals [first, end) of tokens.

The values of several labels may follow each other in one array, if no interval crosses labels.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Intervals = tuple[Integers, Integers]  # first places [N], and places after the last [N]

AT_ONCE = 1_000_000  # values in one portion: about 20 MB


def runs(flags: NDArray[np.bool_]) -> Intervals:
    """Return every run of true flags, in order."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return edges[::2], edges[1::2]


def runs_above(values: Floats, least: float, share: float) -> Intervals:
    """Return runs of values above `least`, cut to the values above a share of the run's best."""
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
    """Return the mean of each interval [N], bit for bit as numpy computes it alone."""
    lengths = end - first
    order = np.argsort(lengths, kind="stable")
    found = np.empty(len(order), np.float32)
    for alike in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(alike):
            found[alike] = sliding_window_view(values, lengths[alike[0]])[first[alike]].mean(1)
    return found


def highest(values: Floats, first: Integers, end: Integers) -> Floats:
    """Return the highest value of each interval [N]."""
    order = np.argsort(first, kind="stable")  # reduceat also reduces the gaps, which are dropped
    edges = np.column_stack([first[order], end[order]]).reshape(-1)
    found = np.empty(len(order), np.float32)
    found[order] = np.maximum.reduceat(np.append(values, values[:1]), edges)[::2]
    return found


def cut(values: Floats, first: Integers, end: Integers, least: Floats) -> Intervals:
    """Cut values below `least` [N] off both ends; each interval has a value that is not below."""
    lengths = end - first
    marks = np.arange(AT_ONCE, lengths.sum(), AT_ONCE)
    portions = np.split(np.arange(len(first)), np.searchsorted(np.cumsum(lengths), marks))
    parts = [_cut(values, first[some], end[some], least[some]) for some in portions]
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _cut(values: Floats, first: Integers, end: Integers, least: Floats) -> Intervals:
    lengths = end - first
    before = np.cumsum(lengths) - lengths  # values of earlier intervals
    place = np.repeat(first - before, lengths) + np.arange(lengths.sum())
    kept = np.flatnonzero(values[place] >= np.repeat(least, lengths))
    opening = np.searchsorted(kept, before)
    closing = np.searchsorted(kept, before + lengths) - 1
    return place[kept[opening]], place[kept[closing]] + 1
