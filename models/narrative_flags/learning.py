"""Fit the specialist's families, and their baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.narrative_flags.corpus import Sentence, scored, truth
from services.triage.narrative.features import PLACES, context_words, pieces_of, vector
from services.triage.narrative.keywords import BY_NAME
from shared.features.linear import place_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
STEPS = 300


def rows_of(some: Sequence[Sentence], rarity: NDArray[np.float32], cued: float) -> csr_matrix:
    """Return the vectors of sentences [sentences, PLACES]; cues have the weight `cued`."""
    result = [vector(sentence.text, sentence.family, rarity, cued) for sentence in some]
    ends = np.cumsum([0, *(len(at) for at, _ in result)])
    places, values = (np.concatenate(parts) for parts in zip(*result, strict=True))
    return csr_matrix((values, places, ends), (len(some), PLACES))


def rarity_in(every: Sequence[Sentence]) -> NDArray[np.float32]:
    """Return the rarity of pieces among the sentences that a family's gate passes [PLACES]."""
    seen: Counter[int] = Counter()
    sentences = [sentence for sentence in every if sentence.family in BY_NAME]
    for sentence in sentences:
        pieces = [*pieces_of(sentence.text), *context_words(sentence.text, sentence.family)]
        seen.update({place_of(piece, PLACES) for piece in pieces})
    counts = np.zeros(PLACES, np.float32)
    counts[list(seen)] = list(seen.values())
    rarity: NDArray[np.float32] = np.log((1.0 + len(sentences)) / (1.0 + counts)) + 1.0
    return rarity.astype(np.float32)


def fit(
    some: Sequence[Sentence], rarity: NDArray[np.float32], strength: float, cued: float
) -> tuple[NDArray[np.float32], float]:
    """Fit one family; returns its weights [PLACES] and bias."""
    model = _regression(strength).fit(rows_of(some, rarity, cued), truth(list(some)))
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def fit_families(
    every: Sequence[Sentence], strength: float, cued: Mapping[str, float]
) -> dict[str, Any]:
    """Fit some families, each with its weight of a cue; returns the numbers of a `FlagModel`."""
    rarity = rarity_in(every)
    fits = [fit(scored(list(every), name), rarity, strength, cued[name]) for name in cued]
    bias = np.array([bias for _, bias in fits], np.float32)
    return {"weight": np.stack([weight for weight, _ in fits], 1), "bias": bias, "rarity": rarity}


def by_words(
    some: Sequence[Sentence], every: Sequence[Sentence], strength: float, cued: float
) -> Floats:
    """Score the sentences of a family, each by a fit without its company's fold.

    The others of `every` decide the rarity of pieces; `strength` is the inverse regularisation.
    """
    scores = np.zeros(len(some))
    for fold, seen, new in _parts(_folds(some)):
        rarity = rarity_in([sentence for sentence in every if sentence.fold != fold])
        weight, bias = fit([some[i] for i in seen], rarity, strength, cued)
        scores[new] = rows_of([some[i] for i in new], rarity, cued) @ weight + bias
    return scores


def by_tfidf(some: Sequence[Sentence], strength: float) -> Floats:
    """Score by the baseline: TF-IDF of words and pairs, and a logistic regression."""
    return by_tfidf_in(_folds(some), some, strength)


def by_tfidf_in(folds: NDArray[np.int64], some: Sequence[Sentence], strength: float) -> Floats:
    """Score by the baseline in given folds [N]."""
    scores = np.zeros(len(some))
    for _, seen, new in _parts(folds):
        rarity = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        rows = rarity.fit_transform([some[i].text for i in seen])
        model = _regression(strength).fit(rows, truth([some[i] for i in seen]))
        scores[new] = model.decision_function(rarity.transform([some[i].text for i in new]))
    return scores


def platt(scores: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return scale and shift of Platt's map (1999) from score to probability."""
    model = LogisticRegression(C=1e3).fit(scores[:, None], labels)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _folds(some: Sequence[Sentence]) -> Integers:
    return np.array([sentence.fold for sentence in some])


def _parts(folds: Integers) -> Iterator[tuple[int, Integers, Integers]]:
    """Yield for each fold the indices of the others, and its own."""
    for fold in np.unique(folds).tolist():
        yield fold, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=STEPS, class_weight="balanced")
