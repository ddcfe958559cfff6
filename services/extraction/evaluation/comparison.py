"""Compare two readers of the same labelled documents by the legal metric.

The 95% intervals come from resampling groups of documents (Efron's bootstrap, percentiles of 1,000
draws). Both readers use the same draws, so that their difference has an interval too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.extraction.evaluation.metric import (
    Answers,
    Counts,
    Curve,
    Floats,
    Predictions,
    count_contract,
    resamples,
)

DRAWS = 1_000
SEED = 20_260_131
BETWEEN = (2.5, 97.5)
FIGURES = ("precision", "recall", "f1", "false_alarms")


@dataclass(frozen=True)
class LabelledDocuments:
    """Labelled documents: answers and group of each."""

    categories: Sequence[str]
    answers: Sequence[Answers]
    groups: Sequence[str]


def score(labelled: LabelledDocuments, predictions: Sequence[Predictions]) -> Counts:
    """Count the found answers and false alarms of a reader [D, categories, 2].

    All predictions with a confidence above 0 count.
    """
    return _counted(labelled, predictions)[:, :, -1]


def compare(
    labelled: LabelledDocuments, ours: Counts, theirs: Counts, every: Sequence[Predictions]
) -> dict[str, Any]:
    """Compare two readers by their scores.

    Args:
        every: all candidates of the first reader, for its precision at the recall of the second.

    Returns:
        `ours` and `theirs` with `precision`, `recall`, `f1` and `false_alarms` (for each document),
        each with `value`, `low` and `high`; `difference`, the first minus the second;
        `at_their_recall`, the first's precision there; `categories`, the counts of each.
    """
    ones = np.ones((1, len(labelled.groups)), np.int64)  # the first draw is the data itself
    draws = np.concatenate([ones, resamples(labelled.groups, SEED, DRAWS)])  # [1 + DRAWS, D]
    asked = np.array([sum(map(len, answers.values())) for answers in labelled.answers])
    pooled = [counts.sum(1) for counts in (ours, theirs)]
    values = [_figures(counts, asked, draws) for counts in pooled]
    curve = _counted(labelled, every).sum(1)  # [D, thresholds, 2]
    return {
        "answers": int(asked.sum()),
        "groups": len(set(labelled.groups)),
        "ours": _reader(values[0], pooled[0]),
        "theirs": _reader(values[1], pooled[1]),
        "difference": {name: _interval(values[0][name] - values[1][name]) for name in FIGURES},
        "at_their_recall": _interval(_at_recall(curve, asked, draws, values[1]["recall"])),
        "categories": _by_category(labelled, ours, theirs),
    }


def _counted(labelled: LabelledDocuments, predictions: Sequence[Predictions]) -> Counts:
    """Counts of each document [D, categories, thresholds, 2]."""
    return np.stack(
        [
            count_contract(labelled.categories, found, answers)[0]
            for found, answers in zip(predictions, labelled.answers, strict=True)
        ]
    )


def _figures(counts: Counts, asked: Counts, draws: Counts) -> dict[str, Floats]:
    """The figures of each draw; precision is 1 without predictions, as in the metric."""
    found, wrong = (draws @ counts).astype(float).T
    listed = found + wrong
    precision = np.where(listed > 0, found / np.maximum(listed, 1), 1.0)
    recall = found / np.maximum(draws @ asked, 1)
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": np.where(both > 0, 2 * precision * recall / np.maximum(both, 1e-12), 0.0),
        "false_alarms": wrong / np.maximum(draws.sum(1), 1),
    }


def _at_recall(curve: Counts, asked: Counts, draws: Counts, recalls: Floats) -> Floats:
    """Precision of a curve at the recall of each draw; 0 if it never reaches it."""
    counts = np.einsum("rd,dtk->rtk", draws, curve)
    return np.array(
        [
            Curve.of(one, int(number)).precision_at(float(recall))
            for one, number, recall in zip(counts, draws @ asked, recalls, strict=True)
        ]
    )


def _reader(figures: Mapping[str, Floats], counts: Counts) -> dict[str, Any]:
    found, wrong = counts.sum(0)
    return {
        "found": int(found),
        "wrong": int(wrong),
        **{name: _interval(figures[name]) for name in FIGURES},
    }


def _interval(values: Floats) -> dict[str, float]:
    low, high = np.percentile(values[1:], BETWEEN)
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def _by_category(labelled: LabelledDocuments, ours: Counts, theirs: Counts) -> list[dict[str, Any]]:
    lines = []
    for place, name in enumerate(labelled.categories):
        line: dict[str, Any] = {
            "category": name,
            "answers": sum(len(answers.get(name, ())) for answers in labelled.answers),
        }
        for who, counts in (("ours", ours), ("theirs", theirs)):
            found, wrong = counts[:, place].sum(0)
            line[who] = {"found": int(found), "wrong": int(wrong)}
        lines.append(line)
    return lines
