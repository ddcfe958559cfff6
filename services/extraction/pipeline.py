"""Text in, clauses out: the specialist's token scores, decoded and calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.extraction.decoding import Candidate, Decoding, decode
from services.extraction.ranking import LEAST, Ranking, look
from shared.inference import AdapterError, Specialist, TokenScores
from shared.inference.specialists import Progress, Span


@dataclass(frozen=True)
class Clause:
    """A passage of one category; `text` is the document's own, from `start` to `end`."""

    category: str
    text: str
    start: int  # code points into the document's text
    end: int
    confidence: float  # inside (0, 1): how often such a passage is right


def find_clauses(
    text: str,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    all_candidates: bool = False,
    progress: Progress | None = None,
) -> list[Clause]:
    """Find the clauses of a contract in one pass over its text.

    Args:
        text: of the whole document; the clauses' offsets refer to it.
        specialist: the adapter that decides.
        skip: spans of furniture (running headers, footers, page numbers), read over.
        all_candidates: everything above 0.001, instead of what is above the threshold of the
            best F1 that the adapter's manifest gives.
        progress: is told (windows done, windows in all).

    Returns:
        The clauses in the order of the text.
    """
    scores = specialist.token_probabilities(text, skip, progress)
    least = LEAST if all_candidates else specialist.manifest.thresholds.get("best_f1", 0.5)
    clauses = clauses_of(text, scores, specialist, skip)
    return [clause for clause in clauses if clause.confidence > least]


def clauses_of(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span] = ()
) -> list[Clause]:
    """Decode, rank and calibrate token scores: every candidate, whatever its confidence."""
    manifest = specialist.manifest
    propose = ranked if specialist.forests else decoded
    return [
        _clause(text, candidate, manifest.labels, manifest.calibration)
        for candidate in propose(text, scores, specialist, skip)
    ]


def decoded(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span] = ()
) -> list[Candidate]:
    """Return the candidates of a specialist without a ranking of its own."""
    manifest = specialist.manifest
    return decode(text, scores, manifest.labels, Decoding.of(manifest.decoding), skip)


def ranked(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span] = ()
) -> list[Candidate]:
    """Return the candidates of a specialist with a ranking, ordered by place.

    Raises:
        AdapterError: the ranking was learned on other columns than these.
    """
    if not len(scores.offsets):
        return []
    manifest = specialist.manifest
    settings = Decoding.of(manifest.decoding)
    seen = look(text, scores, manifest.labels, settings, skip)
    if seen.columns != manifest.columns:
        raise AdapterError(
            f"{manifest.name} {manifest.version} ranks by other columns than this release has; "
            "install the release that it came with, or run `python -m models.ranking` again"
        )
    forests = specialist.forests
    ranking = Ranking(forests["first"], forests["second"], settings.beaten)
    found = zip(
        seen.found.label.tolist(),
        seen.spans.tolist(),
        ranking.scores(seen.found, seen.rows).tolist(),
        strict=True,
    )
    candidates = [
        Candidate(label, start, end, score) for label, (start, end), score in found if score > LEAST
    ]
    return sorted(candidates, key=lambda c: (c.start, c.end, c.label))


def _clause(
    text: str, candidate: Candidate, labels: Sequence[str], calibration: Mapping[str, Any]
) -> Clause:
    start, end = candidate.start, candidate.end
    confidence = calibrated(candidate.score, calibration)
    return Clause(labels[candidate.label], text[start:end], start, end, confidence)


def calibrated(score: float, calibration: Mapping[str, Any]) -> float:
    """Map a score to a confidence strictly inside (0, 1), keeping the ranking.

    The map is a strictly rising line through the knots `scores` and `confidences`, between (0, 0)
    and (1, 1); without knots the score itself is the confidence.
    """
    knots = [0.0, *calibration.get("scores", ()), 1.0]
    values = [0.0, *calibration.get("confidences", ()), 1.0]
    return float(np.clip(np.interp(score, knots, values), 1e-9, 1.0 - 1e-9))
