"""What is known of each clause in a list of them: a row of numbers for a forest.

All of it comes from the clauses that one specialist found in one document, and from its text: how
sure each is, what stands beside it, which others say the same. No model is asked again. Extraction
ranks by it, and review orders its queue.
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


class Clause(Protocol):
    """A passage of one category; `text` is the document's own, from `start` to `end`."""

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
        """What was read of it; its `status` says whether it is stated."""


NONE = -1.0
"""Where there is no such thing: no neighbour, no value known."""
FAR = 1_000_000
"""Characters to the nearest, where there is none."""
SHORT = 200
"""Characters up to which a text is counted in its document."""
JUST = 20
"""Characters beside a clause that are looked at."""
ALIKE = 0.5
"""Share of words in either that both have, from which on two clauses say the same."""

OWN = (
    "confidence",
    "category",
    "log_characters",
    "log_words",
    "different_words",  # by all its words
    "digits",  # by all its characters
    "capitals",
    "line_breaks",
    "blanks",  # whether it has any of _ * [
    "opens_capital",
    "opens_digit",
    "closes_stop",
    "stated",  # whether a value could be read of it; NONE if its category has none
)
PLACE = (
    "place",  # from 0 to 1
    "log_text",
    "after_stop",
    "breaks_before",
    "before_stop",
    "before_break",
    "times_in_text",  # that its words stand there, 1 of a long one
)
LIST = ("clauses", "categories", "mean_confidence", "least_confidence", "doubts")
SAME = (  # others of its category
    "others",
    "surer",
    "surest",
    "sum_of_confidences",
    "surest_overlapping",
    "log_distance",
)
LIKE = (  # the surer one of its category that has most words in common
    "likeness",
    "confidence_of_like",
    "share_of_like",  # of the like one's words, those in both
    "share_of_own",
    "words_of_like",
    "likeness_of_less_sure",
    "confidence_contained",  # of the surest that it contains word for word
    "confidence_around",  # of the surest that contains it
    "surest_alike",
    "same_text",  # how many have the very same text, itself included
)
BESIDE = (  # clauses of other categories, and the neighbours of any
    "overlapping",
    "surest_of_overlapping",
    "category_of_overlapping",
    "log_distance_of_other",
    "same_text_elsewhere",  # confidence of the surest with the same text
    "confidence_before",
    "confidence_after",
    "category_before",
    "category_after",
)
COLUMNS = OWN + PLACE + LIST + SAME + LIKE + BESIDE

_OPENERS = (".", ";", "\n", '"', "(", ":")
_STOPS = (".", ";", ":", ",")
_DROPPED = str.maketrans(dict.fromkeys(".,;:", ""))


def rows_of(text: str, clauses: Sequence[Clause], categories: Mapping[str, int]) -> Floats:
    """Describe every clause of one document [N, COLUMNS].

    Args:
        text: of the document.
        clauses: all that one specialist found in it.
        categories: the number of each category that it knows.
    """
    if not clauses:
        return np.zeros((0, len(COLUMNS)), np.float32)
    found = _List(text, clauses, categories)
    return np.array([found.row(i) for i in range(len(clauses))], np.float32)


class _List:
    """The clauses of one document, with what is compared of them."""

    def __init__(self, text: str, clauses: Sequence[Clause], categories: Mapping[str, int]) -> None:
        self.text, self.clauses = text, clauses
        self.start = np.array([clause.start for clause in clauses], float)
        self.end = np.array([clause.end for clause in clauses], float)
        self.sure = np.array([clause.confidence for clause in clauses], float)
        self.category = np.array([categories[clause.category] for clause in clauses])
        self.words = [words_of(clause.text) for clause in clauses]
        self.times = {
            said: text.count(said) if 0 < len(said) < SHORT else 1
            for said in {clause.text for clause in clauses}
        }
        self.often = Counter((clause.category, clause.text) for clause in clauses)
        self.order = np.lexsort((self.end, self.start)).tolist()
        self.rank = {place: number for number, place in enumerate(self.order)}

    def row(self, i: int) -> list[float]:
        """What is known of a clause, in the order of COLUMNS."""
        mine = self.category == self.category[i]
        others = np.flatnonzero(~mine)
        mine[i] = False
        same = np.flatnonzero(mine)
        return [
            *self._own(i),
            *self._place(i),
            *self._listed(),
            *self._same(i, same),
            *self._like(i, same),
            *self._beside(i, others),
        ]

    def _own(self, i: int) -> list[float]:
        clause = self.clauses[i]
        said, length = clause.text, max(len(clause.text), 1)
        words = said.lower().split()
        return [
            clause.confidence,
            float(self.category[i]),
            math.log1p(len(said)),
            math.log1p(len(words)),
            len(set(words)) / max(len(words), 1),
            sum(letter.isdigit() for letter in said) / length,
            sum(letter.isupper() for letter in said) / length,
            said.count("\n"),
            any(mark in said for mark in "_*["),
            said[:1].isupper(),
            said[:1].isdigit(),
            said.endswith((".", ";", ":")),
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
            self.times[clause.text],
        ]

    def _listed(self) -> list[float]:
        sure = self.sure
        kinds = len(np.unique(self.category))
        return [len(sure), kinds, float(sure.mean()), float(sure.min()), float((1 - sure).sum())]

    def _same(self, i: int, same: NDArray[np.int64]) -> list[float]:
        sure = self.sure[same]
        overlapping = sure[self._gap(i, same) < 0]
        return [
            len(same),
            float((sure > self.sure[i]).sum()),
            float(sure.max(initial=0)),
            float(sure.sum()),
            float(overlapping.max(initial=0)),
            self._nearest(i, same),
        ]

    def _like(self, i: int, same: NDArray[np.int64]) -> list[float]:
        clause, words = self.clauses[i], self.words[i]
        best = (0.0, 0.0, 0.0, 0.0, 0.0)
        less = contained = around = alike = 0.0
        for j in same.tolist():
            other, confidence = self.clauses[j], self.clauses[j].confidence
            both = len(words & self.words[j])
            likeness = both / max(len(words | self.words[j]), 1)
            if likeness >= ALIKE:
                alike = max(alike, confidence)
            if confidence <= clause.confidence:
                less = max(less, likeness)
                continue
            if likeness > best[0]:
                theirs = len(self.words[j])
                shares = both / max(theirs, 1), both / max(len(words), 1)
                best = (likeness, confidence, *shares, float(theirs))
            if other.text in clause.text:
                contained = max(contained, confidence)
            if clause.text in other.text:
                around = max(around, confidence)
        often = self.often[clause.category, clause.text]
        return [*best, less, contained, around, alike, often]

    def _beside(self, i: int, others: NDArray[np.int64]) -> list[float]:
        over = others[self._gap(i, others) < 0]
        surest = over[self.sure[over].argmax()] if len(over) else None
        said = self.clauses[i].text
        same = (self.clauses[j].confidence for j in others.tolist() if self.clauses[j].text == said)
        place = self.rank[i]
        before = self.order[place - 1] if place else None
        after = self.order[place + 1] if place + 1 < len(self.order) else None
        return [
            len(over),
            0.0 if surest is None else float(self.sure[surest]),
            NONE if surest is None else float(self.category[surest]),
            self._nearest(i, others),
            max(same, default=0.0),
            *(NONE if j is None else float(self.sure[j]) for j in (before, after)),
            *(NONE if j is None else float(self.category[j]) for j in (before, after)),
        ]

    def _gap(self, i: int, some: NDArray[np.int64]) -> Numbers:
        """Characters between a clause and some others [len(some)]; below 0 where they overlap."""
        gap: Numbers = np.maximum(self.start[some], self.start[i]) - np.minimum(
            self.end[some], self.end[i]
        )
        return gap

    def _nearest(self, i: int, some: NDArray[np.int64]) -> float:
        return math.log1p(max(float(self._gap(i, some).min(initial=FAR)), 0.0))


def words_of(text: str) -> frozenset[str]:
    """The words that two clauses are compared by: in lower case, without stops."""
    return frozenset(text.translate(_DROPPED).lower().split())
