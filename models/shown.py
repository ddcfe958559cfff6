"""What an analyst is shown of raw predictions: the clauses that the served path makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.predict import Candidate
from services.extraction.decoding import Candidate as Decoded
from services.extraction.pipeline import Clause, clauses_of
from services.extraction.values import value_json

Value = dict[str, Any] | None


def shown(
    text: str, candidates: Sequence[Candidate], labels: Sequence[str], scores: Mapping[str, Any]
) -> list[tuple[Clause, Value]]:
    """Return the clauses above the threshold of the best F1, each with its value.

    Args:
        text: of the contract.
        candidates: its raw predictions.
        labels: of the specialist.
        scores: of the specialist (`scores.json`), with calibration and threshold.
    """
    least, calibration = scores["thresholds"]["best_f1"], scores["calibration"]
    decoded = [Decoded(c.label, c.start, c.end, c.score) for c in candidates]
    found = clauses_of(text, decoded, labels, calibration)
    return [
        (clause, value_json(clause.category, clause.text, clause.start))
        for clause in found
        if clause.confidence > least
    ]
