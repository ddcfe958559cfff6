"""The legal metric: CUAD's, as published with the data set.

Source: Hendrycks, Burns, Chen, Ball, "CUAD: An Expert-Annotated NLP Dataset for Legal Contract
Review", 2021, and its `evaluate.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

THRESHOLDS: Floats = np.array([i / 100 for i in range(99, 0, -1)] + [0.001, 0.0])
"""A prediction counts when its confidence is strictly above the threshold."""

OVERLAP = 0.5
CONTAINED = "Parties"  # in this category a prediction that contains the answer matches as well

DROPPED = ".,;:"


def words(text: str) -> frozenset[str]:
    """Return the set of words of a text, for comparison."""
    for stop in DROPPED:  # faster than a table of characters
        text = text.replace(stop, "")
    return frozenset(text.replace("/", " ").lower().split(" "))


def matches(category: str, prediction: str, answer: str) -> bool:
    """Whether a predicted text matches an answer."""
    if category == CONTAINED and answer in prediction:
        return True
    ours, theirs = words(prediction), words(answer)
    return len(ours & theirs) >= OVERLAP * len(ours | theirs)


def matching(
    categories: Sequence[str], predictions: Sequence[str], answers: Mapping[str, Sequence[str]]
) -> list[frozenset[int]]:
    """Return the indices of the answers of its category that each prediction matches.

    Args:
        categories: of the predictions [N].
        predictions: their texts [N].
    """
    sets = {name: [words(text) for text in texts] for name, texts in answers.items()}
    found = []
    for category, text in zip(categories, predictions, strict=True):
        ours = words(text) if category in sets else frozenset()
        found.append(
            frozenset(
                i
                for i, theirs in enumerate(sets.get(category, ()))
                if len(ours & theirs) >= OVERLAP * len(ours | theirs)
                or (category == CONTAINED and answers[category][i] in text)
            )
        )
    return found


def count(
    category: str, predictions: Iterable[tuple[str, float]], answers: Sequence[str]
) -> Counts:
    """Count one contract and category: [thresholds, (found answers, false predictions)].

    The same text predicted twice counts once, with the later confidence.
    """
    confidence = dict(predictions)
    answered = np.zeros(len(answers))  # the highest confidence that matches each answer
    false = []
    for text, score in confidence.items():
        hits = [i for i, answer in enumerate(answers) if matches(category, text, answer)]
        answered[hits] = np.maximum(answered[hits], score)
        if not hits:
            false.append(score)
    found = (answered[None, :] > THRESHOLDS[:, None]).sum(1)
    wrong = (np.array(false)[None, :] > THRESHOLDS[:, None]).sum(1)
    return np.stack([found, wrong], axis=1).astype(np.int64)


@dataclass(frozen=True)
class Curve:
    """Precision and recall at every threshold."""

    precision: Floats  # [thresholds]; 1 where nothing is predicted
    recall: Floats  # [thresholds]

    @classmethod
    def of(cls, counts: Counts, answers: int) -> Curve:
        """Make the curve from pooled counts [thresholds, 2] and the number of answers."""
        found, wrong = counts[:, 0].astype(float), counts[:, 1].astype(float)
        predicted = found + wrong
        precision = np.where(predicted > 0, found / np.maximum(predicted, 1), 1.0)
        return cls(precision, found / max(answers, 1))

    @property
    def raised(self) -> Floats:
        """Precision made monotone: at each recall the best of any higher recall."""
        return np.maximum.accumulate(self.precision[::-1])[::-1]

    @property
    def aupr(self) -> float:
        """The area under the raised curve, from (recall 0, precision 1), by trapezoids."""
        recall = np.concatenate([[0.0], self.recall])
        precision = np.concatenate([[1.0], self.raised])
        return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))

    def precision_at(self, recall: float) -> float:
        """The raised precision at the first recall that is at least this; 0 if it never is."""
        reached = np.flatnonzero(self.recall >= recall)
        return float(self.raised[reached[0]]) if len(reached) else 0.0

    @property
    def f1(self) -> Floats:
        """F1 at every threshold, with the unsmoothed precision."""
        both = self.precision + self.recall
        return np.where(both > 0, 2 * self.precision * self.recall / np.maximum(both, 1e-12), 0.0)

    @property
    def best_f1(self) -> float:
        """The highest F1."""
        return float(self.f1.max())

    @property
    def best_threshold(self) -> float:
        """The threshold with the highest F1."""
        return float(THRESHOLDS[int(self.f1.argmax())])


def resamples(groups: Sequence[str], seed: int, count: int) -> Counts:
    """Draw groups with replacement: how often each document is drawn [count, documents]."""
    names, of = np.unique(np.array(groups), return_inverse=True)
    draw = np.random.default_rng(seed)
    return draw.multinomial(len(names), np.full(len(names), 1 / len(names)), count)[:, of]


Predictions = Mapping[str, Sequence[tuple[str, float]]]
"""Category to (text, confidence) of one contract."""
Answers = Mapping[str, Sequence[str]]  # category to answers of one contract


def count_contract(
    categories: Sequence[str], predictions: Predictions, answers: Answers
) -> tuple[Counts, Counts]:
    """Count one contract: [categories, thresholds, 2], and the number of answers [categories]."""
    counts = [count(name, predictions.get(name, ()), answers.get(name, ())) for name in categories]
    return np.stack(counts), np.array([len(answers.get(name, ())) for name in categories])
