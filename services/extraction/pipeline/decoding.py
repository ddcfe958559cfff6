"""Decode the probabilities of tokens to candidate clauses.

Most categories are decided by sentence: its score is the mean probability of its tokens, and
neighbours with nearly the same score join. Short categories (a name, a date) are runs of tokens.
models/clauses/contract-clauses/config.toml says how the parameters were chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.intervals import cut, highest, means, runs_above
from services.extraction.pipeline.patterns import Kind
from shared.inference.specialists import TokenScores

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Span = tuple[int, int]


ENTITIES: Mapping[str, tuple[Kind, ...]] = {
    "Document Name": (Kind.LINE, Kind.CAPITALISED, Kind.QUOTED),
    "Parties": (Kind.COMPANY, Kind.CAPITALISED, Kind.QUOTED, Kind.BRACKETED),
    "Agreement Date": (Kind.DATE,),
    "Effective Date": (Kind.DATE,),
}
"""Labels that are a name or a date instead of sentences, with their patterns."""


@dataclass(frozen=True)
class Decoding:
    """The parameters of decoding; an adapter's manifest may set each of them."""

    entities: Mapping[str, tuple[Kind, ...]] = field(default_factory=lambda: dict(ENTITIES))
    merge: float = 0.7  # a neighbour joins if it reaches this share of the best sentence
    trim: float = 0.1  # tokens at the ends are cut below this share of the best token
    run: float = 0.02  # a run of an entity begins above this probability …
    cut: float = 0.3  # … and keeps the tokens above this share of its best
    loser: float = 0.4  # a sentence that joined others is also proposed at this share of its score
    floor: float = 0.001  # candidates below this mean probability are not proposed

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Decoding:
        """Take the parameters from a manifest."""
        known = {one.name for one in fields(cls)}
        chosen = {name: value for name, value in values.items() if name in known}
        if "entities" in chosen:
            chosen["entities"] = {
                label: tuple(Kind[kind.upper()] for kind in kinds)
                for label, kinds in chosen["entities"].items()
            }
        return cls(**chosen)


@dataclass(frozen=True)
class Candidate:
    """A stretch of text [start, end) that may be a clause of one label."""

    label: int
    start: int
    end: int
    score: float


# --- sentences ----------------------------------------------------------------------------------

ABBREVIATIONS = frozenset((
    *("inc", "corp", "co", "ltd", "llc", "lp", "llp", "no", "nos", "art", "sec", "secs"),
    *("para", "st", "ave", "mr", "mrs", "ms", "dr", "jr", "sr", "vs", "v", "etc", "al"),
    *("e.g", "i.e", "u.s", "u.s.c", "u.k", "n.a", "s.a", "b.v", "a.m", "p.m", "d.c", "ph.d"),
    *("est", "approx", "fig", "ext"),
))  # fmt: skip
STOP = re.compile(r"[.;:][\"'\u201d\u2019)\]]*(?=\s|$)")
LINE = re.compile(
    r"\n[ \t\r]*(?=\n)"  # a blank line
    r"|\n(?=[ \t]*(?:\(?(?:[a-zA-Z]|[ivxIVX]{1,5}|\d{1,2}(?:\.\d{1,2})*)[.)][ \t]|[•·▪●○*-][ \t]))"
)
MARKER = re.compile(r"[ \t](?=\((?:[a-z]|[ivx]{2,4}|\d{1,2})\)[ \t])")
BLANKS = re.compile(r"\s*")
NUMBER = re.compile(r"(?:\d{1,2}\.)*\d{1,2}")
LAST_WORD = re.compile(r"(?<!\S)\S++\Z")


def sentences(text: str, skip: Sequence[Span] = ()) -> list[Span]:
    """Split a text into sentences [start, end), without the blanks between them.

    They end at `. ; :`, at blank lines and before list markers. No sentence ends at a full stop
    after an abbreviation, an initial or a leading number, or at a skipped span.
    """
    flat = _blanked(text, skip)
    cuts = {0, len(flat)}
    cuts.update(m.end() for m in STOP.finditer(flat) if not is_protected(flat, m.start()))
    cuts.update(m.end() for pattern in (LINE, MARKER) for m in pattern.finditer(flat))
    ordered = sorted(cuts)
    spans = (_stripped(flat, *pair) for pair in pairwise(ordered))
    return [span for span in spans if span[0] < span[1]]


def _blanked(text: str, skip: Sequence[Span]) -> str:
    """Replace skipped spans and the blanks around them by spaces."""
    pieces, done = [], 0
    for start, end in sorted(skip):
        start = max(start, done)
        start -= len(text[done:start]) - len(text[done:start].rstrip())
        blanks = BLANKS.match(text, max(end, start))
        end = blanks.end() if blanks else end
        pieces += [text[done:start], " " * (end - start)]
        done = end
    return "".join(pieces) + text[done:]


def is_protected(text: str, place: int) -> bool:
    """Whether a stop belongs to an abbreviation, an initial or a number."""
    if text[place] != ".":
        return False
    before = text[max(0, place - 20) : place]
    last = LAST_WORD.search(before)
    word = last.group().lstrip("(\"'\u201c\u2018[") if last else ""
    if NUMBER.fullmatch(word):
        ahead = before[: -len(word)].rstrip(" \t")
        return not ahead or ahead[-1] in ".;:\n"
    return word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper())


def _stripped(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


# --- candidates ---------------------------------------------------------------------------------


def decode(
    text: str,
    scores: TokenScores,
    labels: Sequence[str],
    settings: Decoding,
    skip: Sequence[Span] = (),
    cuts: Integers | None = None,
) -> list[Candidate]:
    """Return the candidates of every label in the order of the text.

    Args:
        labels: in the order of the scores.
        cuts: the `token_cuts` of the sentences, if already computed.
    """
    if not len(scores.offsets):
        return []
    if cuts is None:
        cuts = token_cuts(sentences(text, skip), scores.offsets)
    by_label = np.ascontiguousarray(scores.probabilities.T)
    sentence = np.add.reduceat(by_label, cuts[:-1], axis=1) / np.diff(cuts)
    found = [
        _runs(label, by_label[label], settings)
        if name in settings.entities
        else _sentence_runs(label, sentence[label], cuts, settings)
        for label, name in enumerate(labels)
    ]
    places, shares = (np.concatenate(part) for part in zip(*found, strict=True))
    label, first, end = places.T
    values, before = by_label.reshape(-1), label * by_label.shape[1]
    first, end = before + first, before + end
    score = means(values, first, end).astype(float) * shares[:, 0]
    least = shares[:, 1].astype(np.float32) * highest(values, first, end)
    first, end = cut(values, first, end, least)
    start, stop = scores.offsets[first - before, 0], scores.offsets[end - before - 1, 1]
    columns = (label.tolist(), start.tolist(), stop.tolist(), score.tolist())
    return [
        Candidate(*row)
        for row in sorted(zip(*columns, strict=True), key=lambda row: (row[1], row[2], row[0]))
    ]


def token_cuts(spans: Sequence[Span], offsets: Integers) -> Integers:
    """Return the first token of every sentence that has one, and then the number of tokens."""
    starts = np.array([start for start, _ in spans], np.int64)
    sentence = np.searchsorted(starts, offsets[:, 0], side="right")
    first = np.flatnonzero(np.diff(sentence, prepend=-1))
    return np.append(first, len(offsets))


Proposed = tuple[Integers, Doubles]
"""Label, first token and end [N, 3]; shares [N, 2]: of the score, and of the best token below which
the ends are cut."""


def _runs(label: int, probabilities: Floats, settings: Decoding) -> Proposed:
    first, end = runs_above(probabilities, settings.run, settings.cut)
    return (
        np.column_stack([np.full(len(first), label), first, end]),
        np.tile([1.0, 0.0], (len(first), 1)),
    )


def _sentence_runs(label: int, sentence: Doubles, cuts: Integers, settings: Decoding) -> Proposed:
    """Propose runs of sentences of one label, from the mean of each sentence.

    Neighbours join the best sentence if they reach a share of its score. Joined sentences are also
    proposed alone at a lower score, because annotators often marked them as separate clauses.
    """
    possible = sentence >= settings.floor
    free, mean = possible.tolist(), sentence.tolist()
    spans: list[tuple[int, int]] = []
    shares: list[float] = []
    for best in np.argsort(-sentence, kind="stable")[: int(possible.sum())].tolist():
        if not free[best]:
            continue
        least = settings.merge * mean[best]
        first, end = best, best + 1
        while first > 0 and free[first - 1] and mean[first - 1] >= least:
            first -= 1
        while end < len(mean) and free[end] and mean[end] >= least:
            end += 1
        free[first:end] = [False] * (end - first)
        spans.append((first, end))
        shares.append(1.0)
        if end - first > 1 and settings.loser > 0:
            spans += [(i, i + 1) for i in range(first, end)]
            shares += [settings.loser] * (end - first)
    places = cuts[np.array(spans, np.int64).reshape(-1, 2)]
    return (
        np.column_stack([np.full(len(places), label), places]),
        np.column_stack([shares, np.full(len(places), settings.trim)]),
    )
