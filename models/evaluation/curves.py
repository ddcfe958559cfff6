"""Figures of a curve of precision and recall, with intervals by resampling families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.extraction.evaluation.metric import Counts, Curve

FRONTIER_RECALL = 0.603  # of the best published frontier model (precision 0.711)
RESAMPLES = 1000
SEED = 7


def summary(curve: Curve) -> dict[str, float]:
    """Return the figures of a curve."""
    return {
        "aupr": curve.aupr,
        "precision_at_recall_0.8": curve.precision_at(0.8),
        "best_f1": curve.best_f1,
        f"precision_at_recall_{FRONTIER_RECALL}": curve.precision_at(FRONTIER_RECALL),
        "highest_recall": float(curve.recall[-1]),
    }


def intervals(counts: Counts, answers: Counts, families: Sequence[str]) -> dict[str, list[float]]:
    """Return 95% intervals by resampling families of contracts.

    Counts are [contracts, thresholds, 2], answers [contracts].
    """
    names = sorted(set(families))
    member = np.array([[family == name for family in families] for name in names])
    by_family = np.tensordot(member.astype(np.int64), counts, axes=1)
    answers_by_family = member.astype(np.int64) @ answers
    draw = np.random.default_rng(SEED)
    rows = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(names), size=len(names))
        curve = Curve.of(by_family[chosen].sum(0), int(answers_by_family[chosen].sum()))
        rows.append(list(summary(curve).values()))
    low, high = np.percentile(rows, [2.5, 97.5], axis=0)
    keys = summary(Curve.of(counts.sum(0), int(answers.sum())))
    return {key: [float(a), float(b)] for key, a, b in zip(keys, low, high, strict=True)}


def at_place(curve: Curve, index: int) -> dict[str, float]:
    """Return precision and recall at the threshold with this index."""
    return {"precision": float(curve.precision[index]), "recall": float(curve.recall[index])}
