"""The second ranking stage."""

from __future__ import annotations

import numpy as np

from services.extraction.pipeline.reranking import (
    BUCKETS,
    LIST_COLUMNS,
    MAX_RERANKED,
    MIN_RERANKED,
    WordModel,
    list_rows,
    rerank_positions,
)


def test_the_likely_are_listed_in_their_order() -> None:
    scores = np.array([0.2, MIN_RERANKED, 0.9, 0.01, 0.5], np.float32)
    assert rerank_positions(scores).tolist() == [0, 2, 4]
    assert rerank_positions(np.zeros(3, np.float32)).tolist() == []


def test_a_list_is_bounded() -> None:
    scores = np.linspace(0.1, 0.9, MAX_RERANKED + 50).astype(np.float32)
    assert rerank_positions(scores).tolist() == list(range(50, MAX_RERANKED + 50))


def test_a_candidate_is_described_by_the_better_ones_over_it() -> None:
    text = "Buyer pays. Seller ships the goods."
    spans = [(0, 11), (12, 35), (12, 35)]
    wording = WordModel(np.ones((2, BUCKETS), np.float16))
    rows = list_rows(text, ["Pay", "Ship"], [0, 0, 1], spans, [0.9, 0.3, 0.8], wording)
    assert rows.shape == (3, len(LIST_COLUMNS))
    column = dict(zip(LIST_COLUMNS, rows.T.tolist(), strict=True))
    assert column["list: overlapping"] == [0, 1, 1]
    assert column["list: others"] == [1, 1, 0]
    assert np.allclose(column["list: same_text_elsewhere"], [0, 0.8, 0.3])
    assert np.allclose(column["list: confidence"], [0.9, 0.3, 0.8])
    # Two words and their pair are three places, of the vector of length one.
    assert np.allclose(column["list: words"], [3**0.5, 7**0.5, 7**0.5])
