"""Features of each clause in a list, for a forest.

They use only the clauses of one specialist in one document, and its text: confidence, surroundings,
and similar clauses. No model is run. Extraction ranks clauses by them, and review orders its queue.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Clause(Protocol):
    """A passage of one category: `text` is that of the document from `start` to `end`."""

    @property
    def category(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def confidence(self) -> float: ...
    @property
    def value(self) -> Mapping[str, Any] | None:
        """The value read from it; its `status` says whether it is stated."""


NONE = -1.0
"""Value for a missing neighbour or value."""
FAR = 1_000_000
"""Distance in characters if there is no other clause."""
SHORT = 200
"""Characters up to which a text is counted in its document."""
JUST = 20
"""Characters before and after a clause that are examined."""
ALIKE = 0.5
"""Share of common words at which two clauses count as alike."""

OWN = (
    "confidence",
    "category",
    "log_characters",
    "log_words",
    "different_words",  # share of all words
    "digits",  # share of its characters
    "capitals",
    "line_breaks",
    "blanks",  # whether it has any of _ * [
    "opens_capital",
    "opens_digit",
    "closes_stop",
    "stated",  # whether a value was read from it; NONE if its category has none
)
PLACE = (
    "place",  # of its start, from 0 to 1
    "log_text",
    "after_stop",
    "breaks_before",
    "before_stop",
    "before_break",
    "times_in_text",  # that the text has its words; 1 for a long one
)
LIST = ("clauses", "categories", "mean_confidence", "least_confidence", "doubts")
SAME = (  # other clauses of its category
    "others",
    "surer",
    "surest",
    "sum_of_confidences",
    "surest_overlapping",
    "log_distance",
)
LIKE = (  # the most similar surer clause of its category
    "likeness",
    "confidence_of_like",
    "share_of_like",  # share of that clause's words in both
    "share_of_own",
    "words_of_like",
    "likeness_of_less_sure",
    "confidence_contained",  # of the surest clause inside it
    "confidence_around",  # of the surest clause around it
    "surest_alike",
    "same_text",  # clauses with exactly its text, itself included
)
BESIDE = (  # clauses of other categories; neighbours of any category
    "overlapping",
    "surest_of_overlapping",
    "category_of_overlapping",
    "log_distance_of_other",
    "same_text_elsewhere",  # confidence of the surest clause with its text
    "confidence_before",
    "confidence_after",
    "category_before",
    "category_after",
)
COLUMNS = OWN + PLACE + LIST + SAME + LIKE + BESIDE

_OPENERS = (".", ";", "\n", '"', "(", ":")
_STOPS = (".", ";", ":", ",")
_DROPPED = ".,;:"


def rows_of(text: str, clauses: Sequence[Clause], categories: Mapping[str, int]) -> Floats:
    """Return the features of all clauses of one specialist in one document [N, COLUMNS].

    Each is compared with all, so memory grows quadratically. `categories` are numbered.
    """
    if not clauses:
        return np.zeros((0, len(COLUMNS)), np.float32)
    return _List(text, clauses, categories).rows()


class _List:
    """The clauses of one document and their comparisons."""

    def __init__(self, text: str, clauses: Sequence[Clause], categories: Mapping[str, int]) -> None:
        self.text, self.clauses = text, clauses
        self.texts = [clause.text for clause in clauses]
        self.start = np.array([clause.start for clause in clauses], float)
        self.end = np.array([clause.end for clause in clauses], float)
        self.sure = np.array([clause.confidence for clause in clauses], float)
        self.category = np.array([categories[clause.category] for clause in clauses])
        letters = frozenset("".join(self.texts))
        self.digits = frozenset(filter(str.isdigit, letters))
        self.capitals = frozenset(filter(str.isupper, letters))
        self.times = {
            some: text.count(some) if 0 < len(some) < SHORT else 1 for some in set(self.texts)
        }
        start, end = self.start, self.end
        self.gap: Numbers = np.maximum(start, start[:, None]) - np.minimum(end, end[:, None])
        """Characters between each two [N, N]; negative if they overlap."""
        self.same: Flags = self.category == self.category[:, None]
        np.fill_diagonal(self.same, False)
        """Whether two different clauses share a category [N, N]."""
        self.surer: Flags = self.same & (self.sure > self.sure[:, None])
        """Whether the clause of the column is surer [N, N]."""

    def rows(self) -> Floats:
        every = range(len(self.texts))
        return np.column_stack(
            [
                np.array([self._own(i) for i in every], float),
                np.array([self._place(i) for i in every], float),
                np.tile(self._listed(), (len(self.texts), 1)),
                self._same(),
                self._like(),
                self._beside(),
            ]
        ).astype(np.float32)

    def _own(self, i: int) -> list[float]:
        clause, text = self.clauses[i], self.texts[i]
        length, letters = max(len(text), 1), set(text)
        words = text.lower().split()
        return [
            clause.confidence,
            float(self.category[i]),
            math.log1p(len(text)),
            math.log1p(len(words)),
            len(set(words)) / max(len(words), 1),
            sum(map(text.count, letters & self.digits)) / length,
            sum(map(text.count, letters & self.capitals)) / length,
            text.count("\n"),
            not letters.isdisjoint("_*["),
            text[:1].isupper(),
            text[:1].isdigit(),
            text.endswith((".", ";", ":")),
            NONE if clause.value is None else float(clause.value.get("status") == "stated"),
        ]

    def _place(self, i: int) -> list[float]:
        clause, text = self.clauses[i], self.text
        before = text[max(0, clause.start - JUST) : clause.start]
        after = text[clause.end : clause.end + JUST]
        return [
            clause.start / max(len(text), 1),
            math.log1p(len(text)),
            before.rstrip(" ").endswith(_OPENERS),
            before.count("\n"),
            after.lstrip(" ").startswith(_STOPS),
            after.startswith("\n"),
            self.times[self.texts[i]],
        ]

    def _listed(self) -> list[float]:
        sure = self.sure
        kinds = len(np.unique(self.category))
        return [len(sure), kinds, float(sure.mean()), float(sure.min()), float((1 - sure).sum())]

    def _same(self) -> Numbers:
        same_category = np.where(self.same, self.sure, 0)
        gap = np.where(self.same, self.gap, FAR)
        return np.column_stack(
            [
                self.same.sum(1),
                self.surer.sum(1),
                same_category.max(1),
                same_category.sum(1),
                np.where(gap < 0, same_category, 0).max(1),
                _near(gap),
            ]
        )

    def _like(self) -> Numbers:
        words = [words_of(text) for text in self.texts]
        both, size = _shared(words, self.same), np.array([len(some) for some in words], float)
        likeness = np.where(self.same, both / np.maximum(size + size[:, None] - both, 1), 0)
        surer_likeness = np.where(self.surer, likeness, 0)
        at = np.arange(len(words)), surer_likeness.argmax(1)
        liked = surer_likeness[at] > 0
        within = _within(self.texts, both, size, self.surer | self.surer.T)
        often = Counter(zip(self.category.tolist(), self.texts, strict=True))
        return np.column_stack(
            [
                surer_likeness[at],
                np.where(liked, self.sure[at[1]], 0),
                np.where(liked, both[at] / np.maximum(size[at[1]], 1), 0),
                np.where(liked, both[at] / np.maximum(size, 1), 0),
                np.where(liked, size[at[1]], 0),
                np.where(self.surer, 0, likeness).max(1),
                np.where(self.surer & within.T, self.sure, 0).max(1),
                np.where(self.surer & within, self.sure, 0).max(1),
                np.where(likeness >= ALIKE, self.sure, 0).max(1),
                [often[pair] for pair in zip(self.category.tolist(), self.texts, strict=True)],
            ]
        )

    def _beside(self) -> Numbers:
        gap = np.where(self.category == self.category[:, None], FAR, self.gap)
        surest = np.where(gap < 0, self.sure, NONE).argmax(1)
        touched = (gap < 0).any(1)
        order = np.lexsort((self.end, self.start))
        before, after = order[:-1], order[1:]
        neighbours = np.full((len(order), 4), NONE)
        neighbours[after, 0], neighbours[after, 2] = self.sure[before], self.category[before]
        neighbours[before, 1], neighbours[before, 3] = self.sure[after], self.category[after]
        return np.column_stack(
            [
                (gap < 0).sum(1),
                np.where(touched, self.sure[surest], 0),
                np.where(touched, self.category[surest], NONE),
                _near(gap),
                self._elsewhere(),
                neighbours,
            ]
        )

    def _elsewhere(self) -> list[float]:
        """Return the highest confidence of the same text in another category [N]."""
        surest: dict[str, dict[int, float]] = {}
        category, sure = self.category.tolist(), self.sure.tolist()
        for text, c, confidence in zip(self.texts, category, sure, strict=True):
            confidences = surest.setdefault(text, {})
            confidences[c] = max(confidences.get(c, 0.0), confidence)
        return [
            max((s for other, s in surest[text].items() if other != c), default=0.0)
            for text, c in zip(self.texts, category, strict=True)
        ]


def _near(gap: Numbers) -> Numbers:
    """Return the logarithm of the distance to the nearest [N], from gaps [N, N]."""
    nearest: Numbers = np.log1p(np.clip(gap.min(1), 0, FAR))
    return nearest


def _shared(words: Sequence[frozenset[str]], mask: Flags) -> Numbers:
    """Return the number of common words [N, N] of the pairs in `mask`, in both directions."""
    numbers = {word: number for number, word in enumerate(frozenset().union(*words))}
    has = np.zeros((len(words), len(numbers)), bool)
    for row, some in zip(has, words, strict=True):
        row[list(map(numbers.__getitem__, some))] = True
    bits = [int.from_bytes(row.tobytes()) for row in np.packbits(has, axis=1)]
    first, second = np.nonzero(np.triu(mask))
    both = np.zeros(mask.shape)
    both[first, second] = [
        (bits[i] & bits[j]).bit_count()
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]
    return both + both.T


def _within(texts: Sequence[str], both: Numbers, size: Numbers, mask: Flags) -> Flags:
    """Return whether the text of a row is part of that of a column [N, N], for pairs in `mask`.

    Then it contains all words but two partial ones at the ends, so few pairs are compared.
    """
    length = np.array([len(text) for text in texts])
    likely = mask & (length[:, None] <= length) & (both >= size[:, None] - 2)
    within = np.zeros(mask.shape, bool)
    for i, j in np.argwhere(likely).tolist():
        within[i, j] = texts[i] in texts[j]
    return within


def words_of(text: str) -> frozenset[str]:
    """Return the words by which clauses are compared: in lower case, without stops."""
    for stop in _DROPPED:  # faster than a table of characters
        text = text.replace(stop, "")
    return frozenset(text.lower().split())
