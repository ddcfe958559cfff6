"""What is known of each label of a contract, worked out by hand."""

import numpy as np
import pytest

from services.extraction.candidates import SOURCES, Candidates
from services.extraction.presence import TOP, presence_columns, presence_rows
from services.extraction.ranking import Seen


def seen(labels: list[int]) -> Seen:
    """Return what was seen of candidates of these labels; the highest token is 0.1 a place."""
    n = len(labels)
    zero = np.zeros(n, np.int64)
    found = Candidates(
        np.array(labels, np.int64), zero, zero + 1, zero, zero + 1, np.zeros((n, SOURCES), bool)
    )
    rows = (np.arange(1, n + 1)[:, None] / 10).astype(np.float32)
    return Seen("", found, np.zeros((n, 2), np.int64), ("highest",), rows, 100)


def test_each_label_is_told_its_best_scores() -> None:
    """Best first, zeros where there are fewer; counts and sums over all."""
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
    """Nothing found is an answer as well."""
    rows = presence_rows(seen([]), np.zeros(0, np.float32), 2)
    assert rows[:, 1 : 1 + TOP].sum() == 0
    assert rows.shape == (2, len(presence_columns(2)))
