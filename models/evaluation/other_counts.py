"""Count the same predictions in other ways than the legal metric.

* Without Parties, the largest and easiest category.
* The mean over categories instead of all answers in one pool.
* Every confidence as a threshold. The metric has a hundred, which are coarse at low confidence.
* A passage also counts as right if it overlaps an answer of its category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.curves import RESAMPLES, SEED, at_place, intervals, summary
from models.evaluation.judging import ScoredContract
from models.evaluation.outcomes import Matches, Outcomes, outcomes
from services.extraction.evaluation.metric import CONTAINED, Counts, Curve, resamples


def overlapping(
    record: Mapping[str, Any], contract: ScoredContract, labels: Sequence[str]
) -> Matches:
    """Return the answers that each candidate matches or overlaps by at least one character."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for note in record["annotations"]:
        spans.setdefault(note["category"], []).append((note["start"], note["end"]))
    found = []
    for c, matched in zip(contract.candidates, contract.matched, strict=True):
        marked = enumerate(spans.get(labels[c.label], ()))
        touched = (i for i, (start, end) in marked if c.start < end and start < c.end)
        found.append(matched.union(touched))
    return found


def in_one_pool(counts: Counts, answers: Counts, families: Sequence[str]) -> dict[str, Any]:
    """Return the figures of all answers in one pool, with intervals.

    Counts are [contracts, labels, thresholds, 2], answers [contracts, labels].
    """
    values = summary(Curve.of(counts.sum((0, 1)), int(answers.sum())))
    return values | {"interval": intervals(counts.sum(1), answers.sum(1), families)}


def mean_of_labels(counts: Counts, answers: Counts, draws: Counts) -> dict[str, Any]:
    """Return the mean area of the labels that have answers, with its interval.

    Counts and answers as for `in_one_pool`, draws [draws, contracts].
    """

    weights = np.concatenate([np.ones((1, len(answers)), np.int64), draws])
    rows = weights.astype(float) @ counts.reshape(len(counts), -1)  # floats multiply faster
    by_label = rows.reshape(len(weights), *counts.shape[1:])
    many = weights @ answers
    areas = [
        np.mean([Curve.of(row[i], int(number[i])).aupr for i in np.flatnonzero(number)])
        for row, number in zip(by_label, many, strict=True)
    ]
    interval = np.percentile(areas[1:], [2.5, 97.5]).tolist()
    return {"aupr": float(areas[0]), "interval": {"aupr": interval}}


def over_every_threshold(metric: Outcomes, draws: Counts) -> dict[str, Any]:
    """Return the figures with every confidence as a threshold, with intervals."""
    values = summary(metric.curve(np.ones_like(draws[0])))
    drawn = [list(summary(metric.curve(weights)).values()) for weights in draws]
    bounds = np.percentile(drawn, [2.5, 97.5], axis=0).T.tolist()
    return values | {"interval": dict(zip(values, bounds, strict=True))}


def other_counts(
    records: Sequence[Mapping[str, Any]],
    contracts: Sequence[ScoredContract],
    labels: Sequence[str],
    calibration: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the figures of each way to count, with 95% intervals by family.

    Args:
        records: the contracts with their annotations.
        contracts: the same, with candidates and their matches.
        labels: names of the labels, in the order of the head.
        calibration: from score to confidence.
    """
    families = [contract.family for contract in contracts]
    draws = resamples(families, SEED, RESAMPLES)
    metric = outcomes(contracts, [c.matched for c in contracts], labels, calibration)
    matched = [overlapping(r, c, labels) for r, c in zip(records, contracts, strict=True)]
    overlap = outcomes(contracts, matched, labels, calibration)
    counts, answers, overlaps = metric.counts(), metric.answers, overlap.counts()
    shown = int(Curve.of(counts.sum((0, 1)), int(answers.sum())).f1.argmax())
    curve = Curve.of(overlaps.sum((0, 1)), int(answers.sum()))
    result: dict[str, Any] = {
        "mean of categories": mean_of_labels(counts, answers, draws),
        "every threshold": over_every_threshold(metric, draws),
        "any overlap": in_one_pool(overlaps, answers, families) | {"shown": at_place(curve, shown)},
    }
    if CONTAINED in labels:
        others = [i for i, name in enumerate(labels) if name != CONTAINED]
        result["without Parties"] = in_one_pool(counts[:, others], answers[:, others], families)
        result["share of Parties"] = 1.0 - float(answers[:, others].sum() / answers.sum())
    return result
