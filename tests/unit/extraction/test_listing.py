"""The surest candidates are judged once more, each beside the others; the rest stay behind them."""

from __future__ import annotations

import numpy as np

from services.extraction.listing import (
    LEAST_LISTED,
    LIST_COLUMNS,
    MOST_LISTED,
    list_rows,
    listed,
    relisted,
)
from services.extraction.wording import PLACES, Wording


def test_the_likely_are_listed_in_their_order() -> None:
    """What is at the bound is not; the order is that of the candidates, not of the scores."""
    scores = np.array([0.2, LEAST_LISTED, 0.9, 0.01, 0.5], np.float32)
    assert listed(scores).tolist() == [0, 2, 4]
    assert listed(np.zeros(3, np.float32)).tolist() == []


def test_a_list_is_as_long_as_can_be_compared() -> None:
    """Of too many the surest are taken."""
    scores = np.linspace(0.1, 0.9, MOST_LISTED + 50).astype(np.float32)
    assert listed(scores).tolist() == list(range(50, MOST_LISTED + 50))


def test_what_is_not_judged_again_keeps_its_score() -> None:
    """Also one of so many that the list is full: nothing sure is hidden by others."""
    scores = np.array([0.9, 0.02, 0.6, 0.4], np.float32)
    last = relisted(scores, np.array([0, 2]), np.array([0.01, 0.7], np.float32))
    assert last.tolist() == np.array([0.01, 0.02, 0.7, 0.4], np.float32).tolist()
    assert scores.tolist() == np.array([0.9, 0.02, 0.6, 0.4], np.float32).tolist()


def test_a_candidate_is_told_of_what_stands_over_it() -> None:
    """The same words under another label, and how many of a label there are."""
    text = "Buyer pays. Seller ships the goods."
    spans = [(0, 11), (12, 35), (12, 35)]
    wording = Wording(np.ones((2, PLACES), np.float16))
    rows = list_rows(text, ["Pay", "Ship"], [0, 0, 1], spans, [0.9, 0.3, 0.8], wording)
    assert rows.shape == (3, len(LIST_COLUMNS))
    column = dict(zip(LIST_COLUMNS, rows.T.tolist(), strict=True))
    assert column["list: overlapping"] == [0, 1, 1]
    assert column["list: others"] == [1, 1, 0]
    assert np.allclose(column["list: same_text_elsewhere"], [0, 0.8, 0.3])
    assert np.allclose(column["list: confidence"], [0.9, 0.3, 0.8])
    # Two words and their pair are three places, of the vector of length one.
    assert np.allclose(column["list: words"], [3**0.5, 7**0.5, 7**0.5])
