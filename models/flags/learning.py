"""Fits the specialist's families, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.flags.corpus import FOLDS, Sentence, truth
from services.triage.narrative.gate import BY_NAME
from services.triage.narrative.words import PLACES, rarity_of, vector

Floats = NDArray[np.float64]
STEPS = 300


def rows_of(some: Sequence[Sentence], rarity: NDArray[np.float32], cued: float) -> csr_matrix:
    """Return the vectors of sentences [sentences, PLACES]; a cue weighs `cued`."""
    found = [vector(one.text, one.family, rarity, cued) for one in some]
    ends = np.cumsum([0, *(len(at) for at, _ in found)])
    places, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return csr_matrix((values, places, ends), (len(some), PLACES))


def rarity_in(every: Sequence[Sentence]) -> NDArray[np.float32]:
    """How rare pieces are among the sentences that a family's gate lets through [PLACES]."""
    return rarity_of((one.text, one.family) for one in every if one.family in BY_NAME)


def fit(
    some: Sequence[Sentence], rarity: NDArray[np.float32], strength: float, cued: float
) -> tuple[NDArray[np.float32], float]:
    """Fit one family; returns its weights [PLACES] and bias."""
    model = _regression(strength).fit(rows_of(some, rarity, cued), truth(list(some)))
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def by_words(
    some: Sequence[Sentence], every: Sequence[Sentence], strength: float, cued: float
) -> Floats:
    """Score the sentences of a family, each by what was fitted without its company's fold.

    Args:
        some: of one family.
        every: all sentences, of all families: how rare a piece is comes from the other folds'.
        strength: of the regression; more fits closer.
        cued: what a cue weighs.
    """
    scores = np.zeros(len(some))
    for fold, seen, new in _folds(some):
        rarity = rarity_in([one for one in every if one.fold != fold])
        weight, bias = fit([some[i] for i in seen], rarity, strength, cued)
        scores[new] = rows_of([some[i] for i in new], rarity, cued) @ weight + bias
    return scores


def by_tfidf(some: Sequence[Sentence], strength: float) -> Floats:
    """The baseline: TF-IDF of words and pairs, and a logistic regression."""
    return by_tfidf_in(np.array([one.fold for one in some]), some, strength)


def by_tfidf_in(folds: NDArray[np.int64], some: Sequence[Sentence], strength: float) -> Floats:
    """The same in other folds: those of each sentence [N]."""
    scores = np.zeros(len(some))
    for _, seen, new in _parts(folds):
        rarity = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        rows = rarity.fit_transform([some[i].text for i in seen])
        model = _regression(strength).fit(rows, truth([some[i] for i in seen]))
        scores[new] = model.decision_function(rarity.transform([some[i].text for i in new]))
    return scores


def by_states(
    some: Sequence[Sentence], states: Mapping[str, NDArray[np.float32]], strength: float
) -> Floats:
    """A head on the frozen encoder: the mean state of a sentence, and that of its keyword."""
    scores = np.zeros(len(some))
    rows = np.stack([states[one.id] for one in some]).astype(np.float64)
    for _, seen, new in _folds(some):
        scaler = StandardScaler().fit(rows[seen])
        model = _regression(strength).fit(
            scaler.transform(rows[seen]), truth([some[i] for i in seen])
        )
        scores[new] = model.decision_function(scaler.transform(rows[new]))
    return scores


def together(words: Floats, states: Floats) -> Floats:
    """Both scores in one, each in its own standard deviations, the words counting twice."""
    result: Floats = 2 * words / words.std() + states / states.std()
    return result


def platt(scores: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return scale and shift by which a score becomes a chance (Platt, 1999)."""
    model = LogisticRegression(C=1e3).fit(scores[:, None], labels)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _folds(some: Sequence[Sentence]) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    return _parts(np.array([one.fold for one in some]))


def _parts(
    folds: NDArray[np.int64],
) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Of each fold that has some: the places of the others, and its own."""
    return [
        (fold, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold))
        for fold in range(FOLDS)
        if (folds == fold).any()
    ]


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=STEPS, class_weight="balanced")
