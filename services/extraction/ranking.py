"""Which candidates to believe: scores that compare across labels and contracts.

Three forests of decision trees, learned from the specialist's predictions on contracts that it had
not seen (models/ranking.py). The first says how likely a candidate matches an answer. Candidates of
one label are then taken from the best downwards; one that overlaps a better one is a loser. The
second forest says of a winner, if it is right, whether no better one matches the same answer, the
third how likely a loser matches an answer that the better ones do not. So a score is the chance
that a candidate is right and adds something; what is right but known counts neither for nor
against it, as in the metric. The surest are then judged once more, side by side (`listing.py`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.extraction.candidates import Candidates, Floats, Integers, propose
from services.extraction.decoding import Decoding, Span, decode, sentences, token_cuts
from services.extraction.features import Decoded, Passage, describe
from services.extraction.listing import LIST_COLUMNS
from services.extraction.metric import words
from shared.inference import TokenScores

Doubles = NDArray[np.float64]
Forest = Callable[[Floats], Floats]
"""Takes rows [N, columns]; returns probabilities [N]."""

LEAST = 0.001
"""Candidates at or below this score are never proposed, and contest nothing."""

STOPS = " .,;:"
"""Marks at the ends that make no difference between two passages."""

WEAK = 0.003
"""What plain decoding gives a lower score is not told to the ranking."""

RIVAL_COLUMNS = (
    "score",
    "rival_score",  # of the best winner that it overlaps
    "share_of_rival_score",
    "overlap",  # tokens in both, by tokens in either
    "overlap_of_own",
    "overlap_of_rivals",
    "log_share_of_length",
    "rivals",  # winners that it overlaps
    "losers_before",  # of the same winner
    "start_in_rival",  # in lengths of the rivals
    "end_in_rival",
)
"""What the forest of the losers is told beside the columns of the first."""

PLACE_COLUMNS = (
    "score",
    "winners_before",  # of the same label, with a higher score
    "sum_before",  # of their scores
    "best_score",
    "score_before",  # of the last winner before it
    "share_of_best_score",
    "distance",  # in tokens to the nearest of them
    "likeness",  # of its words to those of the most like of them, by the metric's measure
    "score_of_like",
    "share_of_like",  # that it has of the words of the most like one
    "share_of_own",  # of its words that the most like one has
)
"""What the forest of the winners is told beside the columns of the first."""


def told(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all that the forests are told, from those of the candidates."""
    places = (f"place: {name}" for name in PLACE_COLUMNS)
    rivals = (f"rival: {name}" for name in RIVAL_COLUMNS)
    return (*columns, *places, *rivals, *LIST_COLUMNS)


FAR = 1_000_000  # tokens to the nearest winner, where there is none
TOLD = 0.01  # candidates with a lower score are not compared by their words


@dataclass(frozen=True)
class Seen:
    """The candidates of one contract, and what is known of each."""

    text: str
    found: Candidates
    spans: Integers  # [N, 2], code points
    columns: tuple[str, ...]
    rows: Floats  # [N, columns]
    tokens: int  # of the contract


def look(
    text: str,
    scores: TokenScores,
    labels: Sequence[str],
    settings: Decoding,
    skip: Sequence[Span] = (),
) -> Seen:
    """Propose candidates for every label, and describe each.

    Args:
        text: of the contract.
        scores: of its tokens.
        labels: of the specialist.
        settings: say which labels are short, and what they look like.
        skip: spans of furniture, read over.
    """
    cuts = token_cuts(sentences(text, skip), scores.offsets)
    plain = decode(text, scores, labels, settings, skip, cuts)
    entities = {
        labels.index(name): kinds for name, kinds in settings.entities.items() if name in labels
    }
    found = propose(text, scores.offsets, scores.probabilities, cuts, entities)
    decoded = [Decoded(c.label, c.start, c.end, c.score) for c in plain if c.score > WEAK]
    views = scores.openings, scores.closings
    passage = Passage(text, scores.offsets, scores.probabilities, cuts, *views, decoded)
    columns, rows = describe(passage, found)
    spans = np.column_stack([scores.offsets[found.first, 0], scores.offsets[found.end - 1, 1]])
    return Seen(text, found, spans, columns, rows, len(scores.offsets))


@dataclass(frozen=True)
class Contest:
    """Who won, how the losers stand to those who beat them, and the winners to better ones."""

    winners: Integers  # [W], their places among the candidates, label by label, the best first
    losers: Integers  # [L]
    places: Floats  # [W, PLACE_COLUMNS]
    rivals: Floats  # [L, RIVAL_COLUMNS]


def contest(seen: Seen, scores: Floats) -> Contest:
    """Let candidates of a label win from the best downwards; what overlaps a winner loses.

    Args:
        seen: the candidates.
        scores: of the first forest [N].
    """
    found = seen.found
    winners: list[int] = []
    losers: list[int] = []
    places: list[tuple[float, ...]] = []
    rivals: list[tuple[float, ...]] = []
    order = np.lexsort((found.end, found.first, -scores, found.label))
    order = order[scores[order] > LEAST]
    tokens = list(zip(found.first.tolist(), found.end.tolist(), strict=True))
    told = _Told(seen.text, tokens, seen.spans.tolist(), scores.tolist())
    label, labels = -1, found.label.tolist()
    for place in order.tolist():
        if labels[place] != label:
            label, table = labels[place], _Table(told)
        row = table.beaten(place)
        if row is None:
            winners.append(place)
            places.append(table.seat(place))
        else:
            losers.append(place)
            rivals.append(row)
    return Contest(
        np.array(winners, np.int64),
        np.array(losers, np.int64),
        np.array(places, np.float32).reshape(len(places), len(PLACE_COLUMNS)),
        np.array(rivals, np.float32).reshape(len(rivals), len(RIVAL_COLUMNS)),
    )


@dataclass(frozen=True)
class _Told:
    """What a contest asks of the candidates, as plain numbers: they are read one by one."""

    text: str
    tokens: Sequence[tuple[int, int]]  # first, end
    spans: Sequence[Sequence[int]]  # start, end, in code points
    scores: Sequence[float]


class _Table:
    """The winners of one label so far, the best first; no two overlap."""

    def __init__(self, told: _Told) -> None:
        self._told = told
        self._spans: list[tuple[int, int]] = []  # in tokens
        self._by_place: list[tuple[int, int]] = []  # first token and number of each, in the text
        self._score: list[float] = []
        self._sum = 0.0
        self._numbers: dict[str, int] = {}  # of words
        self._worded: list[tuple[int, int, int]] = []  # number, words as bits, how many
        self._losers: Counter[int] = Counter()  # that each has beaten

    def _rivals(self, first: int, end: int) -> list[int]:
        """Return the winners that overlap [first, end), the best first."""
        last = bisect_left(self._by_place, (end, -1))
        rivals = []
        while last and self._spans[self._by_place[last - 1][1]][1] > first:
            last -= 1
            rivals.append(self._by_place[last][1])
        return sorted(rivals)

    def beaten(self, place: int) -> tuple[float, ...] | None:
        """Describe a candidate that overlaps winners (RIVAL_COLUMNS); None if it does not."""
        first, end = self._told.tokens[place]
        rivals = self._rivals(first, end)
        if not rivals:
            return None
        best = rivals[0]
        before = self._losers[best]
        self._losers[best] += 1
        mine = end - first
        theirs = sum(self._spans[i][1] - self._spans[i][0] for i in rivals)
        both = sum(min(end, self._spans[i][1]) - max(first, self._spans[i][0]) for i in rivals)
        score, rival = self._told.scores[place], self._score[best]
        return (
            score,
            rival,
            score / rival,
            both / (mine + theirs - both),
            both / mine,
            both / theirs,
            math.log(mine / theirs),
            len(rivals),
            before,
            (first - self._spans[best][0]) / theirs,
            (end - self._spans[best][1]) / theirs,
        )

    def seat(self, place: int) -> tuple[float, ...]:
        """Take a candidate that overlaps no winner as one, and describe it (PLACE_COLUMNS)."""
        score = self._told.scores[place]
        first, end = self._told.tokens[place]
        start, stop = self._told.spans[place]
        own = words(self._told.text[start:stop]) if score > TOLD else frozenset()
        bits = 0
        for word in own:
            bits |= 1 << self._numbers.setdefault(word, len(self._numbers))
        likeness, like, both, size = 0.0, 0, 0, 0
        for number, theirs, count in self._worded:
            shared = (bits & theirs).bit_count()
            if shared and shared / (len(own) + count - shared) > likeness:
                likeness = shared / (len(own) + count - shared)
                like, both, size = number, shared, count
        row = (
            score,
            len(self._score),
            self._sum,
            self._score[0] if self._score else score,
            self._score[-1] if self._score else 1.0,
            score / self._score[0] if self._score else 1.0,
            math.log1p(self._distance(first, end)),
            likeness,
            self._score[like] if both else 0.0,
            both / size if both else 0.0,
            both / len(own) if both else 0.0,
        )
        number = len(self._score)
        insort(self._by_place, (first, number))
        self._spans.append((first, end))
        self._score.append(score)
        self._sum += score
        if own:
            self._worded.append((number, bits, len(own)))
        return row

    def _distance(self, first: int, end: int) -> int:
        """Return the tokens between [first, end) and the nearest winner."""
        after = bisect_left(self._by_place, (end, -1))
        gaps = [start - end for start, _ in self._by_place[after : after + 1]]
        gaps += [
            first - self._spans[number][1]
            for _, number in self._by_place[max(after - 1, 0) : after]
        ]
        return min(gaps, default=FAR)


@dataclass(frozen=True)
class Ranking:
    """The three forests."""

    first: Forest
    of_winners: Forest
    of_losers: Forest

    def scores(self, seen: Seen) -> Floats:
        """Return the score of each candidate [N].

        Of a label's candidates with the same words the surest alone keeps its score; the others
        have 0 (`elsewhere` finds them again).
        """
        right = self.first(seen.rows)
        result = contest(seen, right)
        scores = np.zeros(len(right), np.float32)
        if len(result.winners):
            told = np.concatenate([seen.rows[result.winners], result.places], axis=1)
            scores[result.winners] = of_new(right[result.winners], self.of_winners(told))
        if len(result.losers):
            told = np.concatenate([seen.rows[result.losers], result.rivals], axis=1)
            scores[result.losers] = self.of_losers(told)
        scores[repeated(seen, scores)] = 0
        return scores


def of_new(right: Floats, new: Floats) -> Floats:
    """Return the chance to be right and new, among what is either that or wrong.

    Args:
        right: chances to be right.
        new: chances of each to be new, if it is right.
    """
    added = right * new
    share: Floats = added / np.maximum(added + 1 - right, 1e-9)
    return share


def repeated(seen: Seen, scores: Floats) -> Integers:
    """Return the places of candidates whose words a surer one of their label has [R]."""
    known: set[tuple[int, str]] = set()
    places = []
    labels, spans = seen.found.label.tolist(), seen.spans.tolist()
    order = np.argsort(-scores, kind="stable")
    for place in order[scores[order] > LEAST].tolist():
        start, end = spans[place]
        said = " ".join(seen.text[start:end].lower().split()).strip(STOPS)
        key = labels[place], said
        if key in known:
            places.append(place)
        known.add(key)
    return np.array(places, np.int64)


def elsewhere(seen: Seen, scores: Floats, once: Collection[int]) -> dict[int, float]:
    """Return the candidates that are word for word what is listed of their label, and its score.

    The same provision in two exhibits is two passages, as sure as each other. The same text counts
    once in the metric, whatever its number.

    Args:
        seen: the candidates.
        scores: as ranked [N].
        once: labels of names and dates, which are listed once however often they are said.
    """
    labels, spans = seen.found.label.tolist(), seen.spans.tolist()
    listed = {
        (labels[place], seen.text[slice(*spans[place])]): float(scores[place])
        for place in np.flatnonzero(scores > LEAST).tolist()
        if labels[place] not in once
    }
    return {
        place: listed[said]
        for place in np.flatnonzero(scores <= LEAST).tolist()
        if (said := (labels[place], seen.text[slice(*spans[place])])) in listed
    }
