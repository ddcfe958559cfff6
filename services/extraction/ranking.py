"""Which candidates to believe: scores that compare across labels and contracts.

Two forests of decision trees, learned from the specialist's predictions on contracts that it had
not seen (models/ranking.py). The first says how likely a candidate matches an answer. Candidates of
one label are then taken from the best downwards; one that overlaps a better one is a loser. The
second forest says how likely a loser matches an answer that the better ones do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.extraction.candidates import Candidates, Floats, Integers, propose
from services.extraction.decoding import Decoding, Span, decode, sentences, token_cuts
from services.extraction.features import Decoded, Passage, describe
from shared.inference import TokenScores

Doubles = NDArray[np.float64]
Forest = Callable[[Floats], Floats]
"""Takes rows [N, columns]; returns probabilities [N]."""

LEAST = 0.001
"""Candidates at or below this score are never proposed, and contest nothing."""

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
"""What the second forest is told beside the columns of the first."""


@dataclass(frozen=True)
class Seen:
    """The candidates of one contract, and what is known of each."""

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
    entities = {
        labels.index(name): kinds for name, kinds in settings.entities.items() if name in labels
    }
    found = propose(text, scores.offsets, scores.probabilities, cuts, entities)
    decoded = [
        Decoded(c.label, c.start, c.end, c.score)
        for c in decode(text, scores, labels, settings, skip)
        if c.score > WEAK
    ]
    views = scores.openings, scores.closings
    passage = Passage(text, scores.offsets, scores.probabilities, cuts, *views, decoded)
    columns, rows = describe(passage, found)
    spans = np.column_stack([scores.offsets[found.first, 0], scores.offsets[found.end - 1, 1]])
    return Seen(found, spans, columns, rows, len(scores.offsets))


@dataclass(frozen=True)
class Contest:
    """Who won, and how the losers stand to those who beat them."""

    winners: NDArray[np.bool_]  # [N]
    losers: Integers  # [L], their places among the candidates
    order: Integers  # winners and losers as they were looked at, label by label
    rows: Floats  # [L, RIVAL_COLUMNS]


def contest(found: Candidates, scores: Floats) -> Contest:
    """Let candidates of a label win from the best downwards; what overlaps a winner loses."""
    winners = np.zeros(len(found), bool)
    losers: list[int] = []
    rows: list[tuple[float, ...]] = []
    spans = list(zip(found.first.tolist(), found.end.tolist(), strict=True))
    order = np.lexsort((found.end, found.first, -scores, found.label))
    order = order[scores[order] > LEAST]
    label = -1
    for place in order.tolist():
        if found.label[place] != label:
            label, table = int(found.label[place]), _Table(spans, scores)
        row = table.add(place)
        if row is None:
            winners[place] = True
        else:
            losers.append(place)
            rows.append(row)
    table_of_rows = np.array(rows, np.float32).reshape(len(rows), len(RIVAL_COLUMNS))
    return Contest(winners, np.array(losers, np.int64), order, table_of_rows)


class _Table:
    """The winners of one label so far."""

    def __init__(self, spans: list[tuple[int, int]], scores: Floats) -> None:
        self._spans, self._scores = spans, scores
        self._winners: list[int] = []
        self._beaten: dict[int, int] = {}

    def add(self, place: int) -> tuple[float, ...] | None:
        """Seat a candidate that overlaps no winner; describe one that does (RIVAL_COLUMNS)."""
        first, end = self._spans[place]
        rivals = [w for w in self._winners if first < self._spans[w][1] and end > self._spans[w][0]]
        if not rivals:
            self._winners.append(place)
            return None
        best = rivals[0]
        beaten = self._beaten.get(best, 0)
        self._beaten[best] = beaten + 1
        mine = end - first
        theirs = sum(self._spans[w][1] - self._spans[w][0] for w in rivals)
        both = sum(min(end, self._spans[w][1]) - max(first, self._spans[w][0]) for w in rivals)
        score, rival = float(self._scores[place]), float(self._scores[best])
        return (
            score,
            rival,
            score / rival,
            both / (mine + theirs - both),
            both / mine,
            both / theirs,
            float(np.log(mine / theirs)),
            len(rivals),
            beaten,
            (first - self._spans[best][0]) / theirs,
            (end - self._spans[best][1]) / theirs,
        )


@dataclass(frozen=True)
class Ranking:
    """The two forests, and at what share of its score a loser is kept."""

    first: Forest
    second: Forest
    loser: float

    def scores(self, found: Candidates, rows: Floats) -> Floats:
        """Return the score of each candidate [N] from its columns [N, columns]."""
        scores = self.first(rows)
        result = contest(found, scores)
        if len(result.losers):
            again = np.concatenate([rows[result.losers], result.rows], axis=1)
            scores[result.losers] = self.loser * self.second(again)
        return scores
