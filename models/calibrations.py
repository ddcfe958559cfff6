"""Maps from confidence to the share that is right: isotonic, Platt, beta; pooled or by category.

All are fitted on contracts of other folds than they are measured on (`models/guarantee.py`). Those
by category are drawn to the pooled one by a ridge, so that few examples change little.

Sources: Platt, "Probabilistic outputs for support vector machines", 1999; Zadrozny, Elkan, 2002
(isotonic); Kull, Silva Filho, Flach, "Beta calibration", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.evaluate import fit_calibration
from shared.watch.refitting import fit_logistic as fit_logistic

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Columns = Callable[[Floats], Floats]
Map = Callable[[Floats, Integers], Floats]
"""Takes confidences and labels; returns how likely each is right."""

RIDGE = 5.0
"""How strongly a category is drawn to the pooled map, in examples of middling certainty."""

FEWEST = 100
"""Examples that a category needs for a stair of its own; below it has the pooled one."""


def straight(confidence: Floats) -> Floats:
    """Return what Platt's map is linear in [N, 2]."""
    return np.stack([np.ones_like(confidence), np.log(confidence) - np.log1p(-confidence)], 1)


def bent(confidence: Floats) -> Floats:
    """Return what the beta map is linear in [N, 3]."""
    parts = [np.ones_like(confidence), np.log(confidence), -np.log1p(-confidence)]
    return np.stack(parts, 1)


def fit_lines(
    confidence: Floats,
    right: Floats,
    label: Integers,
    labels: int,
    columns: Columns = straight,
    ridge: float = RIDGE,
) -> Floats:
    """Return the weights of every label [labels, columns], drawn to those of all together."""
    told = columns(confidence)
    start = np.array([0.0, *[1.0] * (told.shape[1] - 1)])
    pooled = fit_logistic(told, right, start, 1e-6)
    return np.stack(
        [
            fit_logistic(told[label == one], right[label == one], pooled, ridge)
            for one in range(labels)
        ]
    )


def apply_lines(weights: Floats, columns: Floats, label: Integers) -> Floats:
    """Return how likely each is right [N]."""
    result: Floats = 1.0 / (1.0 + np.exp(-(columns * weights[label]).sum(1)))
    return result


def fit_stairs(
    confidence: Floats, right: Floats, label: Integers, labels: int, by_label: bool
) -> Map:
    """Return an isotonic map, of all together or of each label that has enough examples."""

    def stair(chosen: NDArray[np.bool_]) -> Mapping[str, list[float]]:
        return fit_calibration(confidence[chosen], right[chosen] > 0)

    everything = stair(np.ones(len(label), bool))
    own = {
        one: stair(label == one)
        for one in range(labels)
        if by_label and (label == one).sum() >= FEWEST
    }

    def apply(values: Floats, of: Integers) -> Floats:
        result = np.empty_like(values)
        for one in np.unique(of):
            knots = own.get(int(one), everything)
            at = [0.0, *knots["scores"], 1.0], [0.0, *knots["confidences"], 1.0]
            result[of == one] = np.interp(values[of == one], *at)
        return np.clip(result, 1e-9, 1.0 - 1e-9)

    return apply


def fit_map(name: str, confidence: Floats, right: Floats, label: Integers, labels: int) -> Map:
    """Return a map by its name: one of `MAPS`."""
    kind, _, scope = name.partition(", ")
    by_label = scope == "by category"
    if kind == "none":
        return lambda values, _of: values
    if kind == "isotonic":
        return fit_stairs(confidence, right, label, labels, by_label)
    columns = {"Platt": straight, "beta": bent}[kind]
    ridge = RIDGE if by_label else 1e9
    weights = fit_lines(confidence, right, label, labels, columns, ridge)
    return lambda values, of: apply_lines(weights, columns(values), of)


MAPS = (
    "none",
    "isotonic, pooled",
    "Platt, pooled",
    "beta, pooled",
    "isotonic, by category",
    "Platt, by category",
    "beta, by category",
)


def error_of(belief: Floats, right: Floats, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al., 2017)."""
    return float(sum(abs(b - r) * n for n, b, r in reliability(belief, right, bins)) / len(belief))


def reliability(belief: Floats, right: Floats, bins: int = 10) -> list[tuple[int, float, float]]:
    """Return (how many, mean belief, share right) of every bin that has some."""
    place = np.minimum((belief * bins).astype(int), bins - 1)
    return [
        (int((place == b).sum()), float(belief[place == b].mean()), float(right[place == b].mean()))
        for b in np.unique(place)
    ]
