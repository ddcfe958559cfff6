"""Candidates of decoding options for unseen examples, and their agreement with the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.evaluation.metric import THRESHOLDS, Curve, matching
from services.extraction.pipeline.decoding import Decoding, decode
from services.extraction.pipeline.search import calibrated_all
from services.extraction.teaching.encoder_states import EncodedExample, Flags, Floats, Integers
from services.extraction.teaching.logistic_regression import Strength
from shared.inference import TokenScores

Doubles = NDArray[np.float64]
Knots = Mapping[str, Sequence[float]]

LEAST_SCORE = 0.02
"""Candidates below this score are left out of the calibration, because they are too many."""
GRID = np.array([0.002, 0.005, 0.01, 0.02, *np.arange(0.05, 0.96, 0.05), 0.97, 0.98, 0.99, 0.995])
"""Scores of the knots of the calibration."""


@dataclass(frozen=True)
class DecodingOption:
    """One combination of training and decoding parameters."""

    strength: Strength
    by_words: bool  # runs of words, for names and dates; otherwise sentences
    merge: float  # share of the best sentence's score from which a neighbour joins

    def decoding(self, label: str, plain: Decoding) -> Decoding:
        """The parameters of decoding, from those of the parent."""
        return replace(plain, entities={label: ()} if self.by_words else {}, merge=self.merge)


@dataclass(frozen=True)
class Trial:
    """The candidates of one option for all examples."""

    example: Integers  # [candidates]: index of the example, ascending
    spans: Integers  # [candidates, 2], code points
    scores: Doubles  # [candidates]
    right: Flags  # [candidates]: whether it matches an answer
    pairs: Integers  # [pairs, 2]: candidate and answer that match
    answer_of: Integers  # [answers]: the example of each answer, ascending

    def confidences(self, knots: Knots) -> Doubles:
        """Return the calibrated scores."""
        return calibrated_all(self.scores, knots)

    def answered(self, confidences: Doubles) -> Doubles:
        """Return the highest confidence of a match of each answer [answers]."""
        best = np.zeros(len(self.answer_of))
        np.maximum.at(best, self.pairs[:, 1], confidences[self.pairs[:, 0]])
        return best

    def counts(self, confidences: Doubles, examples: int) -> tuple[Integers, Integers]:
        """Count by the legal metric: [examples, thresholds, (found, false)], answers [examples]."""
        counts = np.zeros((examples, len(THRESHOLDS), 2), np.int64)
        above = self.answered(confidences)[:, None] > THRESHOLDS
        np.add.at(counts[:, :, 0], self.answer_of, above)
        false = ~self.right
        np.add.at(counts[:, :, 1], self.example[false], confidences[false, None] > THRESHOLDS)
        return counts, np.bincount(self.answer_of, minlength=examples)

    def curve(self, confidences: Doubles, of: Flags) -> Curve:
        """The curve over some examples [examples]."""
        asked = of[self.answer_of]
        found = self.answered(confidences)[asked, None] > THRESHOLDS
        false = confidences[~self.right & of[self.example], None] > THRESHOLDS
        return Curve.of(np.stack([found.sum(0), false.sum(0)], axis=1), int(asked.sum()))


class TrialScorer:
    """Decodes and compares with the answers; caches the comparisons for all options."""

    def __init__(self, label: str, reads: Sequence[EncodedExample], plain: Decoding) -> None:
        self._label, self._reads, self._plain = label, reads, plain
        self._known: list[dict[tuple[int, int], frozenset[int]]] = [{} for _ in reads]
        self._answers = [len(read.example.spans) for read in reads]
        self._first = np.concatenate([[0], np.cumsum(self._answers)])

    def trial(self, option: DecodingOption, probabilities: Floats) -> Trial:
        """Decode the probabilities [tokens] of all examples."""
        settings = option.decoding(self._label, self._plain)
        example: list[int] = []
        spans: list[tuple[int, int]] = []
        scores: list[float] = []
        pairs: list[tuple[int, int]] = []
        for number, read in enumerate(self._reads):
            for (start, end), score in self._candidates(read, probabilities, settings).items():
                hits = self._hits(number, start, end)
                pairs += [(len(scores), int(self._first[number]) + hit) for hit in hits]
                example.append(number)
                spans.append((start, end))
                scores.append(score)
        right = np.zeros(len(scores), bool)
        matched = np.array(pairs, np.int64).reshape(-1, 2)
        right[matched[:, 0]] = True
        return Trial(
            np.array(example, np.int64),
            np.array(spans, np.int64).reshape(-1, 2),
            np.array(scores),
            right,
            matched,
            np.repeat(np.arange(len(self._reads)), self._answers),
        )

    def _candidates(
        self, read: EncodedExample, probabilities: Floats, settings: Decoding
    ) -> dict[tuple[int, int], float]:
        """Span and score of each proposed text; of the same text twice the later one."""
        text = read.example.text
        scores = TokenScores(read.offsets, probabilities[read.place, None])
        found = {}
        for one in decode(text, scores, [self._label], settings, cuts=read.cuts):
            found[text[one.start : one.end]] = ((one.start, one.end), one.score)
        return dict(found.values())

    def _hits(self, number: int, start: int, end: int) -> frozenset[int]:
        known = self._known[number]
        if (start, end) not in known:
            example = self._reads[number].example
            (known[start, end],) = matching(
                [self._label], [example.text[start:end]], {self._label: example.answers}
            )
        return known[start, end]


def fit_calibration(scores: Doubles, right: Flags) -> dict[str, Any]:
    """Fit a strictly rising map from score to the share that is right, as knots.

    It is a logistic curve in the logit of the score (Platt, 1999, with smoothed targets). Two
    parameters suffice, because there may be only tens of candidates.
    """
    used = scores >= LEAST_SCORE
    x = np.log(np.clip(scores[used], 1e-6, 1 - 1e-6))
    x -= np.log1p(-np.clip(scores[used], 1e-6, 1 - 1e-6))
    many, few = int(right[used].sum()), int((~right[used]).sum())
    target = np.where(right[used], (many + 1) / (many + 2), 1 / (few + 2))
    slope, bias = _line(x, target)
    confidences = 1 / (1 + np.exp(-(slope * np.log(GRID / (1 - GRID)) + bias)))
    trace = 1e-3  # share of the score itself, so that the map rises where the curve is flat
    confidences = (1 - 2e-4) * ((1 - trace) * confidences + trace * GRID)
    return {
        "scores": [round(float(v), 7) for v in GRID],
        "confidences": [round(float(v), 7) for v in confidences],
    }


def _line(x: Doubles, target: Doubles) -> tuple[float, float]:
    """Slope and intercept of a logistic regression on one number, by Newton's method.

    A weak prior at (1, 0), the identity, weighs about as much as two candidates.
    """
    prior, lean = np.array([1.0, 0.0]), np.eye(2) * 0.5
    columns, place = np.stack([x, np.ones_like(x)]), prior.copy()
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(place @ columns, -30, 30)))
        gradient = columns @ (chance - target) + lean @ (place - prior)
        curvature = (columns * (chance * (1 - chance) + 1e-6)) @ columns.T + lean
        step = np.linalg.solve(curvature, gradient)
        place = place - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return max(float(place[0]), 0.05), float(place[1])


def calibration_error(confidences: Doubles, right: Flags, bins: int = 10) -> float:
    """The expected calibration error over bins of equal width (Guo et al., 2017).

    Only candidates of at least 0.05 count, because the many below would dominate.
    """
    shown = confidences >= 0.05
    if not shown.any():
        return 0.0
    confidences, right = confidences[shown], right[shown]
    place = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(confidences[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in np.unique(place)
    ]
    return float(sum(gaps))
