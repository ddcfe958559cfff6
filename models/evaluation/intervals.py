"""Intervals of shares, by drawing companies with replacement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np


def share_interval(
    hits: Mapping[Any, int], counts: Mapping[Any, int], companies: Sequence[Hashable], draws: int
) -> tuple[float, float]:
    """Return the 95% interval of a share, from the hits and counts of each company."""
    pairs = np.array([(hits[name], counts[name]) for name in companies])
    drawn = np.random.default_rng(1).integers(len(pairs), size=(draws, len(pairs)))
    right, of = pairs[drawn].sum(1).T
    low, high = np.quantile(right / of, [0.025, 0.975])
    return float(low), float(high)
