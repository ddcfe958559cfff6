"""Text in, clauses out: the specialist's token scores, decoded and calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.candidates import Floats
from services.extraction.decoding import Candidate, Decoding, decode
from services.extraction.doubts import doubts, unfamiliar
from services.extraction.listing import list_rows, listed, relisted
from services.extraction.presence import presence_rows
from services.extraction.ranking import LEAST, Ranking, Seen, elsewhere, look, told
from services.extraction.wording import PLACES, WORDS_FILE, read_wording
from shared.inference import AdapterError, Specialist, TokenScores
from shared.inference.specialists import Progress, Span

STOPS = " \t\r\n.,;:"
"""What ends the sentence before, and is no beginning of a clause."""

FORESTS = frozenset({"first", "winners", "losers", "list"})
"""That a ranking needs."""

_OTHERWISE = (
    "install the release that it came with, or run `python -m models.ranking` and `python -m "
    "models.listing` again"
)

FAMILIAR = "familiar"
"""The threshold of the manifest that says how many kinds of clauses 99 of 100 contracts have."""


@dataclass(frozen=True)
class Clause:
    """A passage of one category; `text` is the document's own, from `start` to `end`."""

    category: str
    text: str
    start: int  # code points into the document's text
    end: int
    confidence: float  # inside (0, 1): how often such a passage is right


@dataclass(frozen=True)
class Presence:
    """Whether a contract has a category at all."""

    category: str
    probability: float  # that it is there
    nearest: Clause | None  # the surest candidate, however unsure


@dataclass(frozen=True)
class Search:
    """What one pass over a contract found, and what it did not."""

    clauses: list[Clause]  # in the order of the text
    presence: list[Presence]  # one for each label, in their order
    warnings: tuple[str, ...] = ()  # why not to rely on it
    tokens: int = 0  # that were read
    quoted: int = 0  # of the clauses, each by itself


def find_clauses(
    text: str,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    all_candidates: bool = False,
    progress: Progress | None = None,
) -> list[Clause]:
    """Find the clauses of a contract: see `search`."""
    return search(text, specialist, skip, all_candidates, progress).clauses


def search(
    text: str,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    all_candidates: bool = False,
    progress: Progress | None = None,
    above: float | None = None,
) -> Search:
    """Find the clauses of a contract, and what it has none of, in one pass over its text.

    Args:
        text: of the whole document; the clauses' offsets refer to it.
        specialist: the adapter that decides.
        skip: spans of furniture (running headers, footers, page numbers), read over.
        all_candidates: everything above 0.001, instead of what is above the threshold of the
            best F1 that the adapter's manifest gives.
        progress: is told (windows done, windows in all).
        above: a confidence above which clauses are shown as well, where that is lower.

    Returns:
        The clauses in the order of the text, one line for each label, and a warning where the
        text is none that the specialist can read, or unlike the contracts it knows.

    Raises:
        AdapterError: the adapter's ranking was learned on other columns than this release has.
    """
    scores = specialist.token_probabilities(text, skip, progress)
    least = LEAST if all_candidates else min(usually_above(specialist), above or 1.0)
    return search_scores(text, scores, specialist, skip, least)


def usually_above(specialist: Specialist) -> float:
    """The confidence above which clauses are shown where nothing else is stated."""
    return specialist.manifest.thresholds.get("best_f1", 0.5)


def search_scores(
    text: str,
    scores: TokenScores,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    least: float = 0.0,
) -> Search:
    """Decode, rank and calibrate token scores; keep the clauses above the confidence `least`."""
    manifest = specialist.manifest
    if specialist.forests:
        candidates, chances = ranked(text, scores, specialist, skip)
    else:
        settings = Decoding.of(manifest.decoding)
        candidates, chances = decode(text, scores, manifest.labels, settings, skip), None
    clauses = clauses_of(text, candidates, manifest.labels, manifest.calibration)
    warnings = doubts(text, scores.offsets)
    if chances is not None and not warnings:
        warnings = unfamiliar(float(chances.sum()), manifest.thresholds.get(FAMILIAR, 0.0))
    kept = [clause for clause in clauses if clause.confidence > least]
    return Search(
        kept,
        _presence(manifest.labels, clauses, chances),
        warnings,
        tokens=len(scores.offsets),
        quoted=_quoted(kept, scores),
    )


def _quoted(clauses: Sequence[Clause], scores: TokenScores) -> int:
    """How many tokens begin in the clauses."""
    if not clauses or not len(scores.offsets):
        return 0
    edges = np.array([(clause.start, clause.end) for clause in clauses])
    return int(np.diff(np.searchsorted(scores.offsets[:, 0], edges), axis=1).sum())


def _presence(
    labels: Sequence[str], clauses: Sequence[Clause], chances: Floats | None
) -> list[Presence]:
    """Say of each label how likely it is there; without a forest its best clause says it."""
    nearest: dict[str, Clause] = {}
    for clause in clauses:
        best = nearest.get(clause.category)
        if best is None or clause.confidence > best.confidence:
            nearest[clause.category] = clause
    lines = []
    for i, label in enumerate(labels):
        best = nearest.get(label)
        known = best.confidence if best else 0.0
        lines.append(Presence(label, float(chances[i]) if chances is not None else known, best))
    return lines


def ranked(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span] = ()
) -> tuple[list[Candidate], Floats | None]:
    """Return the ranked candidates ordered by place, and each label's chance to be there [labels].

    Raises:
        AdapterError: the ranking was learned for another release.
    """
    if not len(scores.offsets):
        return [], None
    manifest, forests = specialist.manifest, specialist.forests
    settings = Decoding.of(manifest.decoding)
    seen = look(text, scores, manifest.labels, settings, skip)
    require_ranking(specialist)
    if told(seen.columns) != manifest.columns:
        raise AdapterError(
            f"{manifest.name} {manifest.version} ranks otherwise than this release does; "
            f"{_OTHERWISE}"
        )
    ranking = Ranking(forests["first"], forests["winners"], forests["losers"])
    values = ranking.scores(seen)
    chances = None
    if "presence" in forests:
        chances = forests["presence"](presence_rows(seen, values, len(manifest.labels)))
    values = _judged_again(seen, values, specialist)
    once = {i for i, name in enumerate(manifest.labels) if name in settings.entities}
    again = elsewhere(seen, values, once)
    candidates = [
        Candidate(label, start, end, again.get(place, score))
        for place, (label, (start, end), score) in enumerate(
            zip(seen.found.label.tolist(), seen.spans.tolist(), values.tolist(), strict=True)
        )
        if place in again or score > LEAST
    ]
    return sorted(candidates, key=lambda c: (c.start, c.end, c.label)), chances


def require_ranking(specialist: Specialist) -> None:
    """Raise AdapterError for a ranking that lacks a forest or the words, or whose words are of
    other labels, so that it is known before the first document. Without a ranking it is fit.
    """
    if not specialist.forests:
        return
    manifest, data = specialist.manifest, specialist.files.get(WORDS_FILE)
    lacks = sorted(FORESTS - specialist.forests.keys())
    if data is None:
        lacks.append(WORDS_FILE)
    elif (shape := read_wording(data).weights.shape) != (len(manifest.labels), PLACES):
        lacks.append(f"{WORDS_FILE} of {len(manifest.labels)} labels (it has {shape[0]})")
    if lacks:
        raise AdapterError(
            f"{manifest.name} {manifest.version} has no {', no '.join(lacks)}; {_OTHERWISE}"
        )


def _judged_again(seen: Seen, scores: Floats, specialist: Specialist) -> Floats:
    """Return the last scores of all candidates [N], from those of the ranking."""
    places = listed(scores)
    if not len(places):
        return scores
    found = seen.found.label[places].tolist(), seen.spans[places].tolist()
    wording = read_wording(specialist.files[WORDS_FILE])
    names = specialist.manifest.labels
    rows = list_rows(seen.text, names, *found, scores[places].tolist(), wording)
    return relisted(scores, places, specialist.forests["list"](rows))


def clauses_of(
    text: str,
    candidates: Sequence[Candidate],
    labels: Sequence[str],
    calibration: Mapping[str, Any],
) -> list[Clause]:
    """Return candidates as clauses, without the stop of the sentence before them."""
    confidences = calibrated_all([c.score for c in candidates], calibration).tolist()
    clauses = []
    for candidate, confidence in zip(candidates, confidences, strict=True):
        start, end = candidate.start, candidate.end
        start = end - (len(text[start:end].lstrip(STOPS)) or end - start)
        clauses.append(Clause(labels[candidate.label], text[start:end], start, end, confidence))
    return clauses


def calibrated(score: float, calibration: Mapping[str, Any]) -> float:
    """Map a score to a confidence: see `calibrated_all`."""
    return float(calibrated_all([score], calibration)[0])


def calibrated_all(
    scores: Sequence[float] | NDArray[np.floating], calibration: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Map scores [N] to confidences strictly inside (0, 1), keeping the ranking.

    The map is a strictly rising line through the knots `scores` and `confidences`, between (0, 0)
    and (1, 1); without knots the score itself is the confidence.
    """
    knots = [0.0, *calibration.get("scores", ()), 1.0]
    values = [0.0, *calibration.get("confidences", ()), 1.0]
    confidences: NDArray[np.float64] = np.interp(scores, knots, values)
    return confidences.clip(1e-9, 1.0 - 1e-9)
