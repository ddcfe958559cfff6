"""Fit a linear model on hashed words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from models.document_kind.corpus import KINDS, Document
from shared.features.linear import met_bits, vector, words_of

Floats = NDArray[np.float32]

PLACES = 1 << 14
BITS = 1 << 18
OFTEN = 3
"""Documents that a word must be in to count as known."""
STEPS = 80


Row = tuple[NDArray[np.int64], Floats]
"""Indices and values of a text."""


def row_of(text: str) -> Row:
    """Return a text as its hashed words."""
    return vector(words_of(text), PLACES)


def stacked(rows: Sequence[Row]) -> csr_matrix:
    """Return the vectors of texts as a sparse matrix [texts, PLACES]."""
    ends = np.cumsum([0, *(len(at) for at, _ in rows)])
    places, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return csr_matrix((values, places, ends), (len(rows), PLACES))


def shares(documents: Sequence[Document]) -> Floats:
    """Return the weight of each document; kinds are balanced, and large corpora count less."""
    sources = Counter((document.kind, document.source) for document in documents)
    weights = np.array(
        [sources[document.kind, document.source] ** -0.5 for document in documents], np.float32
    )
    kinds = np.array([KINDS.index(document.kind) for document in documents])
    for kind in range(len(KINDS)):
        weights[kinds == kind] /= weights[kinds == kind].sum()
    return (weights * (len(documents) / len(KINDS))).astype(np.float32)


def fit(
    rows: csr_matrix, kinds: NDArray[np.int64], weights: Floats, c: float
) -> tuple[Floats, Floats]:
    """Fit a softmax regression; returns its matrix [columns, kinds] and bias [kinds]."""
    model = LogisticRegression(C=c, max_iter=STEPS)
    model.fit(rows, kinds, sample_weight=weights)
    assert list(model.classes_) == list(range(len(KINDS)))
    return model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)


def chances(rows: csr_matrix, weight: Floats, bias: Floats) -> Floats:
    """Return the probability of each kind [rows, kinds]."""
    logits = np.asarray(rows @ weight) + bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    result: Floats = odds / odds.sum(1, keepdims=True)
    return result


def met(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return a bit for each word that is in enough of the texts."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update({word for word in words_of(text) if word[0].isalpha()})
    return met_bits((word for word, count in seen.items() if count >= OFTEN), BITS)
