"""Two readers of the same labelled documents beside each other, by the legal metric.

Intervals are of 95%, by resampling groups of documents that belong together (Efron's bootstrap, the
percentiles of 1,000 draws); both readers are judged on the same draws, so that what lies between
them has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.metric import (
    Answers,
    Counts,
    Curve,
    Floats,
    Predictions,
    count_contract,
)

DRAWS = 1_000
SEED = 20_260_131
BETWEEN = (2.5, 97.5)
FIGURES = ("precision", "recall", "f1", "false_alarms")


@dataclass(frozen=True)
class Labelled:
    """The documents, as their labels have them.

    Args:
        answers: of each document.
        groups: the name of the group that each belongs to.
    """

    categories: Sequence[str]
    answers: Sequence[Answers]
    groups: Sequence[str]


@dataclass(frozen=True)
class Scored:
    """What one reader found.

    Args:
        counts: answers found and false alarms by document and category [D, categories, 2].
    """

    counts: Counts


def score(labelled: Labelled, predictions: Sequence[Predictions]) -> Scored:
    """Count what a reader found: whatever it lists counts, however sure it is.

    Args:
        predictions: of each document; confidences above 0.
    """
    return Scored(_counted(labelled, predictions)[:, :, -1])


def compare(
    labelled: Labelled, ours: Scored, theirs: Scored, every: Sequence[Predictions]
) -> dict[str, Any]:
    """Put two readers beside each other.

    Args:
        every: all candidates of the first with their confidences, for its precision at the recall
            that the second has.

    Returns:
        `ours` and `theirs` with `precision`, `recall`, `f1` and `false_alarms` (a document), each
        `value`, `low` and `high`; `difference`, the first less the second; `at_their_recall`, what
        the first's precision is there; `categories`, the counts of each.
    """
    draws = _draws(labelled.groups)
    asked = np.array(
        [sum(len(texts) for texts in answers.values()) for answers in labelled.answers]
    )
    pooled = [one.counts.sum(1) for one in (ours, theirs)]
    values = [_figures(_sums(counts, asked, draws)) for counts in pooled]
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


def _counted(labelled: Labelled, predictions: Sequence[Predictions]) -> Counts:
    """Counts of each document [D, categories, thresholds, 2]."""
    return np.stack(
        [
            count_contract(labelled.categories, found, answers)[0]
            for found, answers in zip(predictions, labelled.answers, strict=True)
        ]
    )


def _draws(groups: Sequence[str]) -> NDArray[np.int64]:
    """How often each document is in each draw [1 + DRAWS, D]; the first is all of them once."""
    names, of = np.unique(np.array(groups), return_inverse=True)
    chance = np.random.default_rng(SEED)
    times = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    return np.concatenate([np.ones((1, len(groups)), np.int64), times[:, of]])


def _sums(counts: Counts, asked: Counts, draws: Counts) -> dict[str, Floats]:
    """What each draw adds up to."""
    return {
        "found": (draws @ counts[:, 0]).astype(float),
        "wrong": (draws @ counts[:, 1]).astype(float),
        "asked": (draws @ asked).astype(float),
        "documents": draws.sum(1).astype(float),
    }


def _figures(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """The figures of each draw; precision is 1 where nothing is listed, as the metric has it."""
    found, listed = sums["found"], sums["found"] + sums["wrong"]
    precision = np.where(listed > 0, found / np.maximum(listed, 1), 1.0)
    recall = found / np.maximum(sums["asked"], 1)
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": np.where(both > 0, 2 * precision * recall / np.maximum(both, 1e-12), 0.0),
        "false_alarms": sums["wrong"] / np.maximum(sums["documents"], 1),
    }


def _at_recall(curve: Counts, asked: Counts, draws: Counts, recalls: Floats) -> Floats:
    """Precision of a curve at the recall of each draw; 0 where it never gets there."""
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


def _by_category(labelled: Labelled, ours: Scored, theirs: Scored) -> list[dict[str, Any]]:
    lines = []
    for place, name in enumerate(labelled.categories):
        line: dict[str, Any] = {
            "category": name,
            "answers": sum(len(answers.get(name, ())) for answers in labelled.answers),
        }
        for who, one in (("ours", ours), ("theirs", theirs)):
            found, wrong = one.counts[:, place].sum(0)
            line[who] = {"found": int(found), "wrong": int(wrong)}
        lines.append(line)
    return lines
