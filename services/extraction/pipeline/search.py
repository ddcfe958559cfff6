"""Find the clauses of a contract: token scores, candidates, ranking, calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.candidates import Floats, Integers
from services.extraction.pipeline.clause_ends import breaks_within, clean_ends, page_break_lines
from services.extraction.pipeline.decoding import Candidate, Decoding, decode
from services.extraction.pipeline.presence import presence_rows
from services.extraction.pipeline.ranking import (
    MIN_SCORE,
    Ranking,
    RankingFeatures,
    column_names,
    describe_candidates,
    repeated_passages,
)
from services.extraction.pipeline.reranking import (
    BUCKETS,
    WORDS_FILE,
    list_rows,
    read_word_model,
    rerank_positions,
)
from services.extraction.pipeline.warnings import language_warnings, unfamiliar_warnings
from shared.inference import AdapterError, Specialist, TokenScores
from shared.inference.specialists import Span

STOPS = " \t\r\n.,;:"  # marks that end the previous sentence, so no clause begins with them
FORESTS = frozenset({"first", "winners", "losers", "list"})  # the forests that a ranking needs

_REMEDY = (
    "install the release that it came with, or run `python -m models.clauses.ranking` and "
    "`python -m models.clauses.reranking` again"
)

FAMILIAR = "familiar"
"""Threshold in the manifest: the expected number of categories that 99 of 100 contracts reach."""


@dataclass(frozen=True)
class ClauseSpan:
    """A passage of one category; `text` is exactly the document's text from `start` to `end`."""

    category: str
    text: str
    start: int  # code points into the document's text
    end: int
    confidence: float  # inside (0, 1): the share of such passages that is right
    omitted: tuple[Span, ...] = ()
    """Parts that are not its words: page numbers, running heads and legends."""


@dataclass(frozen=True)
class Presence:
    """Whether a contract has clauses of a category."""

    category: str
    probability: float
    nearest: ClauseSpan | None  # the candidate with the highest confidence, however low


@dataclass(frozen=True)
class Search:
    """The result of one pass over a contract."""

    clauses: list[ClauseSpan]  # in the order of the text
    presence: list[Presence]  # one for each label, in their order
    warnings: tuple[str, ...] = ()  # reasons not to rely on it
    tokens: int = 0  # of the searched text
    quoted: int = 0  # tokens of the clauses


def find_clauses(
    text: str,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    all_candidates: bool = False,
) -> list[ClauseSpan]:
    """Find the clauses of a contract: see `search`."""
    return search(text, specialist, skip, all_candidates).clauses


def search(
    text: str,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    all_candidates: bool = False,
    above: float | None = None,
) -> Search:
    """Find the clauses of a contract, and the presence of each category, in one pass.

    A very long text is searched in parts, to limit memory. The presence of a category is then that
    of its likeliest part.

    Args:
        all_candidates: return all candidates above 0.001 instead of those above the threshold in
            the adapter's manifest.
        above: a threshold that replaces that of the manifest if it is lower.

    Raises:
        AdapterError: the adapter's ranking was learned on other columns than this release has.
    """
    least = MIN_SCORE if all_candidates else min(default_threshold(specialist), above or 1.0)
    parts = [_rank_part(text, part, specialist, skip) for part in specialist.parts(text)]
    return _searched(text, parts, specialist, skip, least)


def default_threshold(specialist: Specialist) -> float:
    """The confidence above which clauses are shown if the policy states nothing else."""
    return specialist.manifest.thresholds.get("best_f1", 0.5)


def search_scores(
    text: str,
    scores: TokenScores,
    specialist: Specialist,
    skip: Sequence[Span] = (),
    least: float = 0.0,
) -> Search:
    """Decode, rank and calibrate token scores; return the clauses above the confidence `least`."""
    part = scores.offsets, *_candidates(text, scores, specialist, skip)
    return _searched(text, [part], specialist, skip, least)


_Part: TypeAlias = tuple[Integers, Sequence[Candidate], Floats | None]
"""Offsets of tokens [T, 2], ranked candidates, and the presence of labels [labels], of a part."""


def _rank_part(text: str, part: Span, specialist: Specialist, skip: Sequence[Span]) -> _Part:
    """Score the tokens of a part of a text, and rank its candidates."""
    first, last = part
    skipped = [
        (max(start, first) - first, min(end, last) - first)
        for start, end in skip
        if start < last and end > first
    ]
    scores = specialist.token_probabilities(text[first:last], skipped)
    candidates, chances = _candidates(text[first:last], scores, specialist, skipped)
    moved = [replace(c, start=c.start + first, end=c.end + first) for c in candidates]
    return scores.offsets + first, moved, chances


def _candidates(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span]
) -> tuple[list[Candidate], Floats | None]:
    if specialist.forests:
        return rank_candidates(text, scores, specialist, skip)
    manifest = specialist.manifest
    return decode(text, scores, manifest.labels, Decoding.of(manifest.decoding), skip), None


def _searched(
    text: str, parts: Sequence[_Part], specialist: Specialist, skip: Sequence[Span], least: float
) -> Search:
    manifest = specialist.manifest
    offsets = np.concatenate([offsets for offsets, _, _ in parts])
    candidates = [candidate for _, some, _ in parts for candidate in some]
    known = [chances for _, _, chances in parts if chances is not None]
    chances = np.max(known, axis=0) if known else None
    names = Decoding.of(manifest.decoding).entities
    found = clauses_of(text, candidates, manifest.labels, manifest.calibration)
    clauses = clean_clauses(text, found, skip, names)
    warnings = language_warnings(text, offsets)
    if chances is not None and not warnings:
        warnings = unfamiliar_warnings(float(chances.sum()), manifest.thresholds.get(FAMILIAR, 0.0))
    shown = [clause for clause in clauses if clause.confidence > least]
    return Search(
        shown,
        _presence(manifest.labels, clauses, chances),
        warnings,
        tokens=len(offsets),
        quoted=_quoted_tokens(shown, offsets),
    )


def _quoted_tokens(clauses: Sequence[ClauseSpan], offsets: Integers) -> int:
    """The number of tokens that begin in the clauses."""
    if not clauses or not len(offsets):
        return 0
    edges = np.array([(clause.start, clause.end) for clause in clauses])
    return int(np.diff(np.searchsorted(offsets[:, 0], edges), axis=1).sum())


def _presence(
    labels: Sequence[str], clauses: Sequence[ClauseSpan], chances: Floats | None
) -> list[Presence]:
    """The presence of each label: by the forest, or by its best clause without one."""
    nearest: dict[str, ClauseSpan] = {}
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


def rank_candidates(
    text: str, scores: TokenScores, specialist: Specialist, skip: Sequence[Span] = ()
) -> tuple[list[Candidate], Floats | None]:
    """Return the ranked candidates in the order of the text, and the presence of labels [labels].

    Raises:
        AdapterError: the ranking was learned for another release.
    """
    if not len(scores.offsets):
        return [], None
    manifest, forests = specialist.manifest, specialist.forests
    settings = Decoding.of(manifest.decoding)
    seen = describe_candidates(text, scores, manifest.labels, settings, skip)
    require_ranking(specialist)
    if column_names(seen.columns) != manifest.columns:
        raise AdapterError(
            f"{manifest.name} {manifest.version} has a ranking of another release; {_REMEDY}"
        )
    ranking = Ranking(forests["first"], forests["winners"], forests["losers"])
    values = ranking.scores(seen)
    chances = None
    if "presence" in forests:
        chances = forests["presence"](presence_rows(seen, values, len(manifest.labels)))
    values = _rerank(seen, values, specialist)
    once = {i for i, name in enumerate(manifest.labels) if name in settings.entities}
    again = repeated_passages(seen, values, once)
    candidates = [
        Candidate(label, start, end, again.get(place, score))
        for place, (label, (start, end), score) in enumerate(
            zip(seen.found.label.tolist(), seen.spans.tolist(), values.tolist(), strict=True)
        )
        if place in again or score > MIN_SCORE
    ]
    return sorted(candidates, key=lambda c: (c.start, c.end, c.label)), chances


def require_ranking(specialist: Specialist) -> None:
    """Raise AdapterError for an incomplete ranking, or one whose word model has other labels.

    So the fault is found before the first document. A specialist without a ranking passes.
    """
    if not specialist.forests:
        return
    manifest, data = specialist.manifest, specialist.files.get(WORDS_FILE)
    lacks = sorted(FORESTS - specialist.forests.keys())
    if data is None:
        lacks.append(WORDS_FILE)
    elif (shape := read_word_model(data).weights.shape) != (len(manifest.labels), BUCKETS):
        lacks.append(f"{WORDS_FILE} of {len(manifest.labels)} labels (it has {shape[0]})")
    if lacks:
        raise AdapterError(
            f"{manifest.name} {manifest.version} has no {', no '.join(lacks)}; {_REMEDY}"
        )


def _rerank(seen: RankingFeatures, scores: Floats, specialist: Specialist) -> Floats:
    """Return the final scores of all candidates [N], from those of the ranking."""
    places = rerank_positions(scores)
    if not len(places):
        return scores
    found = seen.found.label[places].tolist(), seen.spans[places].tolist()
    wording = read_word_model(specialist.files[WORDS_FILE])
    names = specialist.manifest.labels
    rows = list_rows(seen.text, names, *found, scores[places].tolist(), wording)
    final = scores.copy()
    final[places] = specialist.forests["list"](rows)
    return final


def clauses_of(
    text: str,
    candidates: Sequence[Candidate],
    labels: Sequence[str],
    calibration: Mapping[str, Any],
) -> list[ClauseSpan]:
    """Return candidates as clauses, without the end of the previous sentence."""
    confidences = calibrated_all([c.score for c in candidates], calibration).tolist()
    clauses = []
    for candidate, confidence in zip(candidates, confidences, strict=True):
        start, end = candidate.start, candidate.end
        start = end - (len(text[start:end].lstrip(STOPS)) or end - start)
        clauses.append(ClauseSpan(labels[candidate.label], text[start:end], start, end, confidence))
    return clauses


def clean_clauses(
    text: str, clauses: Sequence[ClauseSpan], furniture: Sequence[Span], names: Collection[str]
) -> list[ClauseSpan]:
    """Cut clauses at their ends, and mark the lines of page breaks within.

    Clauses that become equal are one, with the highest confidence.

    Args:
        furniture: sorted spans of page numbers and running heads; without any, they are looked for.
        names: the categories that are names or dates.
    """
    breaks = furniture or page_break_lines(text)
    cleaned: dict[tuple[str, int, int], ClauseSpan] = {}
    for clause in clauses:
        name = clause.category in names
        start, end = clean_ends(text, clause.start, clause.end, breaks, name=name)
        same = cleaned.get((clause.category, start, end))
        if same is None or same.confidence < clause.confidence:
            cleaned[clause.category, start, end] = replace(
                clause,
                text=text[start:end],
                start=start,
                end=end,
                omitted=breaks_within(text, start, end, breaks),
            )
    return sorted(cleaned.values(), key=lambda clause: (clause.start, clause.end))


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
