"""Rank candidates by scores that compare across labels and contracts.

Three forests of decision trees are trained on predictions for unseen contracts
(models/clauses/ranking.py). The first predicts whether a candidate matches an answer. The
candidates of a label then compete from the best downwards; one that overlaps a better one is a
loser. The second forest predicts for a right winner whether no better one matches the same answer.
The third predicts whether a loser matches an answer that no better one does. So a score is the
probability that a candidate is right and new; as in the metric, right but repeated ones count
neither way. `reranking.py` scores the best again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.extraction.evaluation.metric import words
from services.extraction.pipeline.candidates import Candidates, Floats, Integers, propose
from services.extraction.pipeline.decoding import Decoding, Span, decode, sentences, token_cuts
from services.extraction.pipeline.features import Passage, describe
from services.extraction.pipeline.reranking import LIST_COLUMNS
from shared.inference import TokenScores

Doubles = NDArray[np.float64]
Forest = Callable[[Floats], Floats]  # takes rows [N, columns]; returns probabilities [N]

MIN_SCORE = 0.001  # candidates at or below this score are never proposed, and do not compete
STOPS = " .,;:"  # marks at the ends that are ignored when two passages are compared
MIN_DECODED = 0.003  # least score of a plainly decoded candidate that the ranking sees

RIVAL_COLUMNS = (
    "score",
    "rival_score",  # of the best winner that it overlaps
    "share_of_rival_score",
    "overlap",  # Jaccard index of the tokens
    "overlap_of_own",
    "overlap_of_rivals",
    "log_share_of_length",
    "rivals",  # winners that it overlaps
    "losers_before",  # of the same winner
    "start_in_rival",  # in lengths of the rivals
    "end_in_rival",
)
"""Further columns of the forest of the losers."""

PLACE_COLUMNS = (
    "score",
    "winners_before",  # of the same label, with a higher score
    "sum_before",  # of their scores
    "best_score",
    "score_before",  # of the last winner before it
    "share_of_best_score",
    "distance",  # in tokens to the nearest of them
    "likeness",  # Jaccard index of its words with those of the most similar one
    "score_of_like",
    "share_of_like",  # of the words of the most similar one that are in both
    "share_of_own",  # of its words that are in both
)
"""Further columns of the forest of the winners."""


def column_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all columns of the forests, from those of the candidates."""
    places = (f"place: {name}" for name in PLACE_COLUMNS)
    rivals = (f"rival: {name}" for name in RIVAL_COLUMNS)
    return (*columns, *places, *rivals, *LIST_COLUMNS)


NO_WINNER_DISTANCE = 1_000_000  # tokens to the nearest winner, if there is none
MIN_COMPARED = 0.01  # least score of a candidate whose words are compared
MAX_COMPARED = 500  # best winners of a label whose words are compared


@dataclass(frozen=True)
class RankingFeatures:
    """The candidates of one contract with their features."""

    text: str
    found: Candidates
    spans: Integers  # [N, 2], code points
    columns: tuple[str, ...]
    rows: Floats  # [N, columns]
    tokens: int  # of the contract


def describe_candidates(
    text: str,
    scores: TokenScores,
    labels: Sequence[str],
    settings: Decoding,
    skip: Sequence[Span] = (),
) -> RankingFeatures:
    """Propose candidates for every label, and compute their features."""
    cuts = token_cuts(sentences(text, skip), scores.offsets)
    plain = decode(text, scores, labels, settings, skip, cuts)
    entities = {
        labels.index(name): kinds for name, kinds in settings.entities.items() if name in labels
    }
    found = propose(text, scores.offsets, scores.probabilities, cuts, entities)
    decoded = [candidate for candidate in plain if candidate.score > MIN_DECODED]
    views = scores.openings, scores.closings
    passage = Passage(text, scores.offsets, scores.probabilities, cuts, *views, decoded)
    columns, rows = describe(passage, found)
    spans = np.column_stack([scores.offsets[found.first, 0], scores.offsets[found.end - 1, 1]])
    return RankingFeatures(text, found, spans, columns, rows, len(scores.offsets))


@dataclass(frozen=True)
class Competition:
    """Winners and losers of a competition with their further features."""

    winners: Integers  # [W], indices of candidates, by label, the best first
    losers: Integers  # [L]
    places: Floats  # [W, PLACE_COLUMNS]
    rivals: Floats  # [L, RIVAL_COLUMNS]


def compete(seen: RankingFeatures, scores: Floats) -> Competition:
    """Let candidates of a label win from the best downwards; one that overlaps a winner loses.

    Args:
        scores: of the first forest [N].
    """
    found = seen.found
    winners: list[int] = []
    losers: list[int] = []
    places: list[tuple[float, ...]] = []
    rivals: list[tuple[float, ...]] = []
    order = np.lexsort((found.end, found.first, -scores, found.label))
    order = order[scores[order] > MIN_SCORE]
    tokens = list(zip(found.first.tolist(), found.end.tolist(), strict=True))
    data = _CandidateData(seen.text, tokens, seen.spans.tolist(), scores.tolist())
    label, labels = -1, found.label.tolist()
    for place in order.tolist():
        if labels[place] != label:
            label, table = labels[place], _Winners(data)
        row = table.describe_loser(place)
        if row is None:
            winners.append(place)
            places.append(table.add(place))
        else:
            losers.append(place)
            rivals.append(row)
    return Competition(
        np.array(winners, np.int64),
        np.array(losers, np.int64),
        np.array(places, np.float32).reshape(len(places), len(PLACE_COLUMNS)),
        np.array(rivals, np.float32).reshape(len(rivals), len(RIVAL_COLUMNS)),
    )


@dataclass(frozen=True)
class _CandidateData:
    """The candidates as plain Python numbers, which are faster to read one by one."""

    text: str
    tokens: Sequence[tuple[int, int]]  # first, end
    spans: Sequence[Sequence[int]]  # start, end, in code points
    scores: Sequence[float]


class _Winners:
    """The winners of one label so far, the best first, without overlaps."""

    def __init__(self, data: _CandidateData) -> None:
        self._data = data
        self._spans: list[tuple[int, int]] = []  # in tokens
        self._by_place: list[tuple[int, int]] = []  # first token and number of each, in the text
        self._score: list[float] = []
        self._sum = 0.0
        self._numbers: dict[str, int] = {}  # numbers of words
        self._worded: list[tuple[int, int, int]] = []  # winner, its words as bits, number of words
        self._losers: Counter[int] = Counter()  # losers that each winner has beaten

    def _rivals(self, first: int, end: int) -> list[int]:
        """Return the winners that overlap [first, end), the best first."""
        last = bisect_left(self._by_place, (end, -1))
        rivals = []
        while last and self._spans[self._by_place[last - 1][1]][1] > first:
            last -= 1
            rivals.append(self._by_place[last][1])
        return sorted(rivals)

    def describe_loser(self, place: int) -> tuple[float, ...] | None:
        """Return the RIVAL_COLUMNS of a candidate; None if it overlaps no winner."""
        first, end = self._data.tokens[place]
        rivals = self._rivals(first, end)
        if not rivals:
            return None
        best = rivals[0]
        before = self._losers[best]
        self._losers[best] += 1
        mine = end - first
        theirs = sum(self._spans[i][1] - self._spans[i][0] for i in rivals)
        both = sum(min(end, self._spans[i][1]) - max(first, self._spans[i][0]) for i in rivals)
        score, rival = self._data.scores[place], self._score[best]
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

    def add(self, place: int) -> tuple[float, ...]:
        """Add a candidate that overlaps no winner, and return its PLACE_COLUMNS."""
        score = self._data.scores[place]
        first, end = self._data.tokens[place]
        start, stop = self._data.spans[place]
        own = words(self._data.text[start:stop]) if score > MIN_COMPARED else frozenset()
        bits = 0
        compared = len(self._worded) < MAX_COMPARED
        for word in own:
            if compared or word in self._numbers:
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
        if own and compared:
            self._worded.append((number, bits, len(own)))
        return row

    def _distance(self, first: int, end: int) -> int:
        """Return the number of tokens between [first, end) and the nearest winner."""
        after = bisect_left(self._by_place, (end, -1))
        gaps = [start - end for start, _ in self._by_place[after : after + 1]]
        gaps += [
            first - self._spans[number][1]
            for _, number in self._by_place[max(after - 1, 0) : after]
        ]
        return min(gaps, default=NO_WINNER_DISTANCE)


@dataclass(frozen=True)
class Ranking:
    """The three forests."""

    first: Forest
    of_winners: Forest
    of_losers: Forest

    def scores(self, seen: RankingFeatures) -> Floats:
        """Return the score of each candidate [N].

        Of a label's candidates with the same words only the best keeps its score; the others get 0
        (`repeated_passages` finds them again).
        """
        right = self.first(seen.rows)
        result = compete(seen, right)
        scores = np.zeros(len(right), np.float32)
        if len(result.winners):
            rows = np.concatenate([seen.rows[result.winners], result.places], axis=1)
            scores[result.winners] = chance_of_new(right[result.winners], self.of_winners(rows))
        if len(result.losers):
            rows = np.concatenate([seen.rows[result.losers], result.rivals], axis=1)
            scores[result.losers] = self.of_losers(rows)
        scores[duplicates(seen, scores)] = 0
        return scores


def chance_of_new(right: Floats, new: Floats) -> Floats:
    """Return the probability of being right and new, if right repeated ones are excluded.

    `new` is the probability of being new, if right.
    """
    added = right * new
    share: Floats = added / np.maximum(added + 1 - right, 1e-9)
    return share


def duplicates(seen: RankingFeatures, scores: Floats) -> Integers:
    """Return the indices of candidates whose words a better one of their label has [R]."""
    known: set[tuple[int, str]] = set()
    places = []
    labels, spans = seen.found.label.tolist(), seen.spans.tolist()
    order = np.argsort(-scores, kind="stable")
    for place in order[scores[order] > MIN_SCORE].tolist():
        start, end = spans[place]
        key = labels[place], " ".join(seen.text[start:end].lower().split()).strip(STOPS)
        if key in known:
            places.append(place)
        known.add(key)
    return np.array(places, np.int64)


def repeated_passages(
    seen: RankingFeatures, scores: Floats, once: Collection[int]
) -> dict[int, float]:
    """Return the candidates with the exact text of a listed one of their label, and its score.

    The same provision in two exhibits is two passages with one score. The metric counts the same
    text once.

    Args:
        scores: as ranked [N].
        once: labels of names and dates, which are listed only once.
    """
    labels, spans = seen.found.label.tolist(), seen.spans.tolist()
    listed = {
        (labels[place], seen.text[slice(*spans[place])]): float(scores[place])
        for place in np.flatnonzero(scores > MIN_SCORE).tolist()
        if labels[place] not in once
    }
    return {
        place: listed[key]
        for place in np.flatnonzero(scores <= MIN_SCORE).tolist()
        if (key := (labels[place], seen.text[slice(*spans[place])])) in listed
    }
