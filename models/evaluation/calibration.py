"""Maps from confidence to the share that is right: isotonic, Platt, beta; pooled or by category.

Each is fitted on other folds than it is measured on (`models/clauses/risk_control.py`). A ridge
draws maps by category to the pooled one, so that few examples change little.

Sources: Platt, "Probabilistic outputs for support vector machines", 1999; Zadrozny, Elkan, 2002
(isotonic); Kull, Silva Filho, Flach, "Beta calibration", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.evaluation.evaluate import fit_calibration
from shared.monitoring.refit import fit_logistic as fit_logistic

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Columns = Callable[[Floats], Floats]
Map = Callable[[Floats, Integers], Floats]
"""Maps confidences and labels to probabilities of being right."""

RIDGE = 5.0
"""Weight of the pooled map for a category, in examples of medium certainty."""

FEWEST = 100
"""Examples that a category needs for its own isotonic map."""


def straight(confidence: Floats) -> Floats:
    """Return the features of Platt's map [N, 2]."""
    return np.stack([np.ones_like(confidence), np.log(confidence) - np.log1p(-confidence)], 1)


def bent(confidence: Floats) -> Floats:
    """Return the features of the beta map [N, 3]."""
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
    """Return the weights of every label [labels, columns], drawn to the pooled weights."""
    features = columns(confidence)
    start = np.array([0.0, *[1.0] * (features.shape[1] - 1)])
    pooled = fit_logistic(features, right, start, 1e-6)
    mine = [label == number for number in range(labels)]
    return np.stack([fit_logistic(features[m], right[m], pooled, ridge) for m in mine])


def apply_lines(weights: Floats, columns: Floats, label: Integers) -> Floats:
    """Return the probability that each is right [N]."""
    result: Floats = 1.0 / (1.0 + np.exp(-(columns * weights[label]).sum(1)))
    return result


def fit_stairs(
    confidence: Floats, right: Floats, label: Integers, labels: int, by_label: bool
) -> Map:
    """Return an isotonic map, pooled or of each label with enough examples."""

    def stair(chosen: NDArray[np.bool_]) -> Mapping[str, list[float]]:
        return fit_calibration(confidence[chosen], right[chosen] > 0)

    everything = stair(np.ones(len(label), bool))
    own = {
        number: stair(label == number)
        for number in range(labels)
        if by_label and (label == number).sum() >= FEWEST
    }

    def apply(values: Floats, of: Integers) -> Floats:
        result = np.empty_like(values)
        for number in np.unique(of):
            knots = own.get(int(number), everything)
            at = [0.0, *knots["scores"], 1.0], [0.0, *knots["confidences"], 1.0]
            result[of == number] = np.interp(values[of == number], *at)
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


def error_of(belief: Floats, right: Floats) -> float:
    """Return the expected calibration error over tenths (Guo et al., 2017)."""
    return float(sum(abs(b - r) * n for n, b, r in reliability(belief, right)) / len(belief))


def reliability(belief: Floats, right: Floats) -> list[tuple[int, float, float]]:
    """Return (count, mean belief, share right) of every tenth that is not empty."""
    tenth = np.minimum((belief * 10).astype(int), 9)
    parts = [tenth == number for number in np.unique(tenth)]
    return [(int(p.sum()), float(belief[p].mean()), float(right[p].mean())) for p in parts]
