"""Features of the presence of labels, calculated by hand."""

import numpy as np
import pytest

from services.extraction.pipeline.candidates import SOURCES, Candidates
from services.extraction.pipeline.presence import TOP, presence_columns, presence_rows
from services.extraction.pipeline.ranking import RankingFeatures


def seen(labels: list[int]) -> RankingFeatures:
    n = len(labels)
    zero = np.zeros(n, np.int64)
    found = Candidates(
        np.array(labels, np.int64), zero, zero + 1, zero, zero + 1, np.zeros((n, SOURCES), bool)
    )
    rows = (np.arange(1, n + 1)[:, None] / 10).astype(np.float32)
    return RankingFeatures("", found, np.zeros((n, 2), np.int64), ("highest",), rows, 100)


def test_features_hold_the_best_scores_of_each_label() -> None:
    scores = np.array([0.2, 0.9, 0.05, 0.4, 0.3, 0.1], np.float32)
    rows = presence_rows(seen([0, 0, 0, 0, 0, 2]), scores, 3)
    table = dict(zip(presence_columns(3), rows.T, strict=True))
    assert rows.shape == (3, len(presence_columns(3)))
    assert [table[f"score_{i}"][0] for i in range(TOP)] == pytest.approx([0.9, 0.4, 0.3, 0.2])
    assert table["score_1"].tolist() == pytest.approx([0.4, 0, 0])
    assert table["sum_of_scores"] == pytest.approx([1.85, 0, 0.1])
    assert table["possible"].tolist() == [4, 0, 0]
    assert table["likely"].tolist() == [2, 0, 0]
    assert table["highest_token"] == pytest.approx([0.5, 0, 0.6])
    assert table["best_0"] == pytest.approx([0.9, 0.9, 0.9])
    assert table["best_2"] == pytest.approx([0.1, 0.1, 0.1])
    assert table["log_tokens"] == pytest.approx([np.log(100)] * 3)


def test_a_contract_without_candidates_is_all_zeros() -> None:
    rows = presence_rows(seen([]), np.zeros(0, np.float32), 2)
    assert rows[:, 1 : 1 + TOP].sum() == 0
    assert rows.shape == (2, len(presence_columns(2)))
