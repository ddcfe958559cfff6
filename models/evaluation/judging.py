"""Match the candidates of contracts with the answers, and count them by the legal metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.predict import Candidate
from services.extraction.evaluation.metric import Counts, count_contract
from services.extraction.evaluation.metric import matching as matching
from services.extraction.pipeline.search import calibrated


@dataclass(frozen=True)
class ScoredContract:
    """One contract with its answers and candidates, and the answers that each candidate matches."""

    family: str
    text: str
    answers: dict[str, list[str]]
    candidates: list[Candidate]
    matched: list[frozenset[int]]  # indices of the answers in their category

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.array([bool(answers) for answers in self.matched], bool)

    @property
    def repeated(self) -> NDArray[np.bool_]:
        """Return whether each matches only answers that more certain ones match."""
        matched: dict[int, set[int]] = {}
        flags = np.zeros(len(self.candidates), bool)
        for i in sorted(range(len(flags)), key=lambda i: -self.candidates[i].score):
            seen = matched.setdefault(self.candidates[i].label, set())
            flags[i] = bool(self.matched[i]) and self.matched[i] <= seen
            seen |= self.matched[i]
        return flags


def judge(
    record: dict[str, Any], candidates: list[Candidate], labels: Sequence[str]
) -> ScoredContract:
    """Match one contract's candidates with its answers."""
    text = record["text"]
    answers = {name: texts for name, texts in answers_of(record).items() if name in labels}
    names = [labels[c.label] for c in candidates]
    matched = matching(names, [text[c.start : c.end] for c in candidates], answers)
    return ScoredContract(record["family"], text, answers, candidates, matched)


def answers_of(record: dict[str, Any]) -> dict[str, list[str]]:
    """Return the texts of a contract's annotations by category."""
    answers: dict[str, list[str]] = {}
    for note in record["annotations"]:
        text = record["text"][note["start"] : note["end"]]
        answers.setdefault(note["category"], []).append(text)
    return answers


def counts_of(
    contract: ScoredContract, labels: Sequence[str], calibration: dict[str, Any]
) -> tuple[Counts, Counts]:
    """Count one contract under a calibration: [labels, thresholds, 2] and answers [labels]."""
    predictions: dict[str, list[tuple[str, float]]] = {}
    for c in contract.candidates:
        confidence = calibrated(c.score, calibration)
        predictions.setdefault(labels[c.label], []).append(
            (contract.text[c.start : c.end], confidence)
        )
    return count_contract(labels, predictions, contract.answers)
