"""Count found answers and wrong passages, from the answers that each candidate matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.judging import ScoredContract
from services.extraction.evaluation.metric import THRESHOLDS, Counts, Curve
from services.extraction.pipeline.search import calibrated_all

Matches = Sequence[frozenset[int]]
"""Indices of the answers that each candidate of a contract matches."""


@dataclass(frozen=True)
class Outcomes:
    """Found answers and wrong passages of all contracts, the most certain first."""

    confidence: NDArray[np.float64]  # [N]; of a found answer that of its most certain passage
    found: NDArray[np.bool_]  # [N]; otherwise a wrong passage
    contract: Counts  # [N]
    label: Counts  # [N]
    answers: Counts  # [contracts, labels]

    def counts(self) -> Counts:
        """Return the counts of the legal metric [contracts, labels, thresholds, 2]."""
        result = np.zeros((*self.answers.shape, len(THRESHOLDS), 2), np.int64)
        first = np.searchsorted(-THRESHOLDS, -self.confidence, side="right")
        np.add.at(result, (self.contract, self.label, first, (~self.found).astype(int)), 1)
        return result.cumsum(axis=2)

    def curve(self, weights: Counts) -> Curve:
        """Return the curve over every confidence; contracts count `weights` [contracts] times."""
        weight = weights[self.contract]
        sums = np.cumsum(np.stack([weight * self.found, weight * ~self.found], 1), axis=0)
        last = np.append(np.diff(self.confidence) < 0, True)  # of equal confidences
        return Curve.of(sums[last], int(weights @ self.answers.sum(1)))


def outcomes(
    contracts: Sequence[ScoredContract],
    matched: Sequence[Matches],
    labels: Sequence[str],
    calibration: Mapping[str, Any],
) -> Outcomes:
    """Return the outcomes of contracts; of a text predicted twice the later confidence counts."""
    rows: list[tuple[float, bool, int, int]] = []
    for number, (contract, found) in enumerate(zip(contracts, matched, strict=True)):
        confidences = calibrated_all([c.score for c in contract.candidates], calibration).tolist()
        passages: dict[tuple[int, str], tuple[float, frozenset[int]]] = {}
        for c, confidence, hits in zip(contract.candidates, confidences, found, strict=True):
            key = c.label, contract.text[c.start : c.end]
            earlier = passages[key][1] if key in passages else frozenset()
            passages[key] = confidence, earlier | hits
        best: dict[tuple[int, int], float] = {}
        for (label, _), (confidence, hits) in passages.items():
            for answer in hits:
                best[label, answer] = max(best.get((label, answer), 0.0), confidence)
            if not hits:
                rows.append((confidence, False, number, label))
        rows += [(confidence, True, number, label) for (label, _), confidence in best.items()]
    rows.sort(key=lambda row: -row[0])
    confidence, right, of_contract, of_label = zip(*rows, strict=True)
    return Outcomes(
        np.array(confidence),
        np.array(right),
        np.array(of_contract),
        np.array(of_label),
        np.array([[len(c.answers.get(name, ())) for name in labels] for c in contracts]),
    )
