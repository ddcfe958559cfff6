"""From the probability of every token to clauses: which stretches of the text to propose.

Clause categories are decided by sentence: the score of a sentence is the mean probability of its
tokens, and neighbours that are nearly as sure join. The short categories (a name, a date) are
runs of tokens instead. How the parameters were chosen is in models/contract-clauses/config.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.patterns import Kind
from shared.inference.specialists import TokenScores

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Span = tuple[int, int]


ENTITIES: Mapping[str, tuple[Kind, ...]] = {
    "Document Name": (Kind.LINE, Kind.CAPITALISED, Kind.QUOTED),
    "Parties": (Kind.COMPANY, Kind.CAPITALISED, Kind.QUOTED, Kind.BRACKETED),
    "Agreement Date": (Kind.DATE,),
    "Effective Date": (Kind.DATE,),
}
"""Labels that are a name or a date rather than sentences, and what such a thing looks like."""


@dataclass(frozen=True)
class Decoding:
    """The parameters of decoding; an adapter's manifest may set each of them."""

    entities: Mapping[str, tuple[Kind, ...]] = field(default_factory=lambda: dict(ENTITIES))
    merge: float = 0.7  # a neighbour joins when it reaches this share of the best sentence
    trim: float = 0.1  # tokens at the ends go when below this share of the best token
    run: float = 0.02  # a run of an entity begins above this probability …
    cut: float = 0.3  # … and keeps the tokens above this share of its best
    loser: float = 0.4  # a sentence that joined others is kept alone at this share of its score
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

ABBREVIATIONS = frozenset(
    [
        "inc",
        "corp",
        "co",
        "ltd",
        "llc",
        "lp",
        "llp",
        "no",
        "nos",
        "art",
        "sec",
        "secs",
        "para",
        "st",
        "ave",
        "mr",
        "mrs",
        "ms",
        "dr",
        "jr",
        "sr",
        "vs",
        "v",
        "etc",
        "al",
        "e.g",
        "i.e",
        "u.s",
        "u.s.c",
        "u.k",
        "n.a",
        "s.a",
        "b.v",
        "a.m",
        "p.m",
        "d.c",
        "ph.d",
        "est",
        "approx",
        "fig",
        "ext",
    ]
)
STOP = re.compile(r"[.;:][\"'\u201d\u2019)\]]*(?=\s|$)")
LINE = re.compile(
    r"\n[ \t\r]*(?=\n)"  # a blank line
    r"|\n(?=[ \t]*(?:\(?(?:[a-zA-Z]|[ivxIVX]{1,5}|\d{1,2}(?:\.\d{1,2})*)[.)][ \t]|[•·▪●○*-][ \t]))"
)
MARKER = re.compile(r"[ \t](?=\((?:[a-z]|[ivx]{2,4}|\d{1,2})\)[ \t])")
BLANKS = re.compile(r"\s*")
NUMBER = re.compile(r"(?:\d{1,2}\.)*\d{1,2}")
LAST_WORD = re.compile(r"\S+\Z")


def sentences(text: str, skip: Sequence[Span] = ()) -> list[Span]:
    """Cut a text into sentences [start, end), without the blanks between them.

    They end at `. ; :`, at blank lines and before list markers. A full stop after an abbreviation,
    an initial or a number that opens a sentence ends nothing. Spans to be skipped (a running
    header in the middle of a sentence) end nothing either.
    """
    flat = _blanked(text, skip)
    cuts = {0, len(flat)}
    cuts.update(m.end() for m in STOP.finditer(flat) if not _is_protected(flat, m.start()))
    cuts.update(m.end() for pattern in (LINE, MARKER) for m in pattern.finditer(flat))
    ordered = sorted(cuts)
    spans = (_stripped(flat, *pair) for pair in pairwise(ordered))
    return [span for span in spans if span[0] < span[1]]


def _blanked(text: str, skip: Sequence[Span]) -> str:
    """Replace skipped spans, with the blanks around them, by spaces."""
    pieces, done = [], 0
    for start, end in sorted(skip):
        start = max(start, done)
        start -= len(text[done:start]) - len(text[done:start].rstrip())
        blanks = BLANKS.match(text, max(end, start))
        end = blanks.end() if blanks else end
        pieces += [text[done:start], " " * (end - start)]
        done = end
    return "".join(pieces) + text[done:]


def _is_protected(text: str, place: int) -> bool:
    """Whether the stop at this place belongs to an abbreviation, an initial or a number."""
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
    """Move both ends inwards over blanks."""
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
    """Return the candidates of every label, ordered by place.

    Args:
        text: of the whole document.
        scores: of its tokens.
        labels: in the order of the scores.
        settings: how to decode.
        skip: spans of furniture.
        cuts: the `token_cuts` of the sentences, where the caller knows them already.
    """
    if not len(scores.offsets):
        return []
    if cuts is None:
        cuts = token_cuts(sentences(text, skip), scores.offsets)
    candidates: list[Candidate] = []
    for label, name in enumerate(labels):
        probabilities = scores.probabilities[:, label]
        if name in settings.entities:
            spans = list(_runs(probabilities, settings))
        else:
            spans = list(_sentence_spans(probabilities, cuts, settings))
        for first, last, score in spans:
            start, end = int(scores.offsets[first, 0]), int(scores.offsets[last - 1, 1])
            candidates.append(Candidate(label, start, end, score))
    return sorted(candidates, key=lambda c: (c.start, c.end, c.label))


def token_cuts(spans: Sequence[Span], offsets: Integers) -> Integers:
    """Return the first token of every sentence that has one, and the number of tokens at last."""
    starts = np.array([start for start, _ in spans], np.int64)
    sentence = np.searchsorted(starts, offsets[:, 0], side="right")
    first = np.flatnonzero(np.diff(sentence, prepend=-1))
    return np.append(first, len(offsets))


def _sentence_spans(
    probabilities: Floats, cuts: Integers, settings: Decoding
) -> Iterator[tuple[int, int, float]]:
    """Yield (first token, end, score) for runs of sentences of one label.

    From the best sentence outwards, neighbours join that reach a share of it. Sentences that
    joined are proposed alone as well, at a share of their score: the annotators did not always
    see one clause where we do.
    """
    sums = np.add.reduceat(probabilities, cuts[:-1])
    means = sums / np.diff(cuts)
    free = means >= settings.floor
    for best in np.argsort(-means, kind="stable"):
        if not free[best]:
            if means[best] < settings.floor:
                return
            continue
        least = settings.merge * means[best]
        first = last = int(best)
        while first > 0 and free[first - 1] and means[first - 1] >= least:
            first -= 1
        while last + 1 < len(means) and free[last + 1] and means[last + 1] >= least:
            last += 1
        free[first : last + 1] = False
        yield _trimmed(probabilities, int(cuts[first]), int(cuts[last + 1]), settings)
        if last > first and settings.loser > 0:
            for i in range(first, last + 1):
                begin, end, score = _trimmed(
                    probabilities, int(cuts[i]), int(cuts[i + 1]), settings
                )
                yield begin, end, score * settings.loser


def _trimmed(
    probabilities: Floats, first: int, end: int, settings: Decoding
) -> tuple[int, int, float]:
    """Cut unlikely tokens off both ends; the score stays the mean over all of the sentence."""
    inside = probabilities[first:end]
    score = float(inside.mean())
    likely = np.flatnonzero(inside >= settings.trim * inside.max())
    return first + int(likely[0]), first + int(likely[-1]) + 1, score


def _runs(probabilities: Floats, settings: Decoding) -> Iterator[tuple[int, int, float]]:
    """Yield (first token, end, score) for runs of tokens of one label."""
    above = np.flatnonzero(np.diff(probabilities > settings.run, prepend=False, append=False))
    for first, end in zip(above[::2], above[1::2], strict=True):
        least = settings.cut * probabilities[first:end].max()
        inside = np.flatnonzero(
            np.diff(probabilities[first:end] >= least, prepend=False, append=False)
        )
        for begin, stop in zip(inside[::2], inside[1::2], strict=True):
            run = slice(int(first + begin), int(first + stop))
            yield run.start, run.stop, float(probabilities[run].mean())
