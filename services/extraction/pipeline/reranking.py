"""Second ranking stage: the best candidates of a contract are scored again in context.

The ranking sees one label at a time. The list of likely candidates shows more: the same words under
another label, neighbours in the section, the number of candidates of a label. A forest gives the
final score from these, the score of the ranking and the word model.
models/clauses/reranking.py trains it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.candidates import Floats, Integers
from shared.features.clause_list import COLUMNS, rows_of
from shared.features.linear import place_of, with_pairs, words_of

MIN_RERANKED = 0.03  # candidates with a higher score of the ranking are scored again
MAX_RERANKED = 500
"""The most candidates that are scored again, since each is compared with others of its label."""

LIST_COLUMNS = tuple(f"list: {name}" for name in (*COLUMNS, "words"))
"""Columns of the forest, as named in the manifest."""

BUCKETS = 2**16  # about 600,000 different words and pairs of contracts share them
WORDS_FILE = "words.npz"  # file name in the folder of an adapter


@dataclass(frozen=True)
class WordModel:
    """A linear bag-of-words model for each label.

    Each word and each pair of neighbours is hashed into one of a fixed number of buckets by its
    CRC-32 (Weinberger et al., 2009). A text is the set of its buckets, as a vector of length one.
    models/clauses/reranking.py trains it.
    """

    weights: NDArray[np.float16]  # [labels, BUCKETS]

    def log_odds(self, label: Sequence[int], buckets: Sequence[Integers]) -> Floats:
        """Return the log odds of each candidate's label by its words [L]; 0 without known words.

        Args:
            label: of each candidate [L].
            buckets: of each candidate [L], from `hash_buckets`.
        """
        sums = [
            float(self.weights[one, some].astype(np.float32).sum()) / max(len(some), 1) ** 0.5
            for one, some in zip(label, buckets, strict=True)
        ]
        return np.array(sums, np.float32)


def hash_buckets(text: str) -> Integers:
    """Return the buckets of a text's words and pairs, each once, ascending."""
    pieces = set(with_pairs(words_of(text)))
    buckets: Integers = np.unique(np.fromiter((place_of(p, BUCKETS) for p in pieces), np.int64))
    return buckets


def write_word_model(wording: WordModel) -> bytes:
    """Return a model in the format of its file."""
    out = io.BytesIO()
    np.savez_compressed(out, weights=wording.weights)
    return out.getvalue()


@lru_cache(maxsize=8)
def read_word_model(data: bytes) -> WordModel:
    """Read a model from a file that was verified (shared/inference/adapters.py)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return WordModel(arrays["weights"])


@dataclass(frozen=True)
class ListedCandidate:
    """A candidate in the list."""

    category: str
    text: str
    start: int
    end: int
    confidence: float
    value: None = None  # only clauses have values


def rerank_positions(scores: Floats) -> Integers:
    """Return the indices of the candidates that are scored again, ascending [L].

    Args:
        scores: of the ranking [N].
    """
    surest = np.argsort(-scores, kind="stable")[:MAX_RERANKED]
    places: Integers = np.sort(surest[scores[surest] > MIN_RERANKED])
    return places


def list_rows(
    text: str,
    names: Sequence[str],
    label: Sequence[int],
    spans: Sequence[tuple[int, int]],
    scores: Sequence[float],
    wording: WordModel,
) -> Floats:
    """Describe the candidates of a list [L, LIST_COLUMNS].

    Args:
        label: of each candidate [L].
        spans: of each, in code points [L].
        scores: of each, from the ranking [L].
    """
    some = [
        ListedCandidate(names[c], text[start:end], start, end, float(score))
        for c, (start, end), score in zip(label, spans, scores, strict=True)
    ]
    rows = rows_of(text, some, {name: i for i, name in enumerate(names)})
    return np.column_stack(
        [rows, wording.log_odds(label, [hash_buckets(one.text) for one in some])]
    )
