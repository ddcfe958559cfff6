"""Learn what words say of a label, beside the ranking: see services/extraction/wording.py.

A logistic regression for each label, on the candidates that are judged again: the places of their
words, and the log odds of the ranking, whose share is not kept. So the words learn what the
ranking does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from services.extraction.candidates import Floats, Integers
from services.extraction.wording import PLACES, Wording, places_of

SURE = 1e-4
"""How near to 0 and 1 a score of the ranking is taken to come."""


@dataclass(frozen=True)
class Worded:
    """Candidates of one contract as the words see them."""

    label: Integers  # [L]
    scores: Floats  # [L], of the ranking
    places: list[Integers]  # of each, the places of its words
    right: NDArray[np.bool_]  # [L]
    repeated: NDArray[np.bool_]  # [L], right, and known from surer ones: no lesson


def worded(
    texts: Sequence[str],
    label: Sequence[int],
    scores: Sequence[float],
    right: NDArray[np.bool_],
    repeated: NDArray[np.bool_],
) -> Worded:
    """Cut the texts of candidates [L] into words."""
    places = [places_of(text) for text in texts]
    return Worded(np.array(label, np.int64), np.array(scores, np.float32), places, right, repeated)


def learn_words(lists: Iterable[Worded], labels: int, settings: Mapping[str, Any]) -> Wording:
    """Learn a model of words.

    Args:
        lists: of contracts.
        labels: how many there are.
        settings: `least`, the candidates that a label needs, `share`, how far words count beside
            the ranking, and `strength`, the inverse of the regularisation.
    """
    some = list(lists)
    label = np.concatenate([one.label for one in some])
    right = np.concatenate([one.right for one in some])
    lesson = ~np.concatenate([one.repeated for one in some])
    scores = np.clip(np.concatenate([one.scores for one in some]), SURE, 1 - SURE)
    odds = np.log(scores / (1 - scores))
    words = _matrix([places for one in some for places in one.places])
    weights = np.zeros((labels, PLACES), np.float16)
    for number in range(labels):
        mine = np.flatnonzero(lesson & (label == number))
        if len(mine) < settings["least"] or right[mine].all() or not right[mine].any():
            continue
        beside = sparse.csr_matrix(odds[mine, None])
        told = sparse.hstack([words[mine] * settings["share"], beside]).tocsr()
        model = LogisticRegression(C=settings["strength"], solver="liblinear")
        learned = model.fit(told, right[mine]).coef_[0, :-1]
        weights[number] = (learned * settings["share"]).astype(np.float16)
    return Wording(weights)


def _matrix(rows: Sequence[Integers]) -> Any:
    """Return texts as unit vectors [N, PLACES]."""
    lengths = np.array([len(row) for row in rows])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    columns = np.concatenate(rows) if len(rows) else np.zeros(0, np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), PLACES))
