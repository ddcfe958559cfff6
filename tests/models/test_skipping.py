"""The measure of a cheap first look: what is lost where windows overlap, and where the line is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import library

library("sklearn")

from models.corpus import FOLDS
from models.skipping import (
    PLACES,
    Contract,
    best_score,
    by_words,
    cut,
    judged,
    lost,
    threshold,
)
from shared.inference.tokeniser import Tokeniser, Tokens

pytestmark = pytest.mark.training


class Words(Tokeniser):
    """Every character is a token."""

    def __init__(self) -> None:
        """Without a file."""

    def __call__(self, text: str) -> Tokens:
        """See Tokeniser."""
        places = np.arange(len(text))
        return Tokens(places, np.stack([places, places + 1], 1))


def contract(fold: int = 0) -> Contract:
    """Ten tokens in three windows of four, every three; tokens 2 to 4 and 9 are labelled."""
    notes = [{"start": 2, "end": 5}, {"start": 9, "end": 10}, {"start": 2, "end": 5}]
    record = {"text": "abcdefghij", "annotations": notes, "fold": fold}
    return cut(record, Words(), length=6, stride=3)


def test_a_contract_is_cut_into_the_windows_that_are_served() -> None:
    """With their texts, and what is labelled in them; a passage of two labels counts once."""
    made = contract()
    assert made.windows == [(0, 4), (3, 7), (6, 10)]
    assert made.texts == ["abcd", "defg", "ghij"]
    assert np.flatnonzero(made.labelled).tolist() == [2, 3, 4, 9]
    assert made.passages == [(2, 5), (9, 10)]
    assert made.held.tolist() == [True, True, True]


def test_a_token_is_lost_with_the_last_window_that_it_lies_in() -> None:
    """Windows skipped, labelled tokens lost, passages lost as a whole, and in part."""
    assert lost(contract(), np.array([True, False, False])).tolist() == [1, 1, 0, 1]
    assert lost(contract(), np.array([True, True, False])).tolist() == [2, 3, 1, 0]
    assert lost(contract(), np.array([True, True, True])).tolist() == [3, 4, 2, 0]
    assert best_score(contract(), np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 2.0, 3.0]


def test_the_threshold_loses_no_more_than_it_may() -> None:
    """The highest below which at most that share lies."""
    scores = np.arange(1000.0)[::-1]
    assert threshold(scores, 0.002) == 2.0
    assert (scores < threshold(scores, 0.002)).sum() == 2


def test_a_look_that_can_tell_skips_what_holds_nothing() -> None:
    """Over all folds, by models that have seen neither the fold nor what their line is drawn by."""
    texts = ["nothing at all here", "the law of Utah governs"]
    truth = np.array([False] * 4 + [True] * 4)
    windows = [(0, 4), (4, 8)]
    contracts = [
        Contract(fold, texts, windows, truth, [(4, 8)]) for fold in FOLDS for _ in range(3)
    ]
    rows = by_words([text for one in contracts for text in one.texts])
    assert rows.shape == (2 * len(contracts), PLACES)
    for row in judged(contracts, rows).values():
        assert (row["skipped"], row["tokens"], row["passages"], row["auc"]) == (0.5, 0.0, 0.0, 1.0)
