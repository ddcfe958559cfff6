"""The word model."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.pipeline.reranking import (
    BUCKETS,
    WordModel,
    hash_buckets,
    read_word_model,
    write_word_model,
)
from shared.features.linear import place_of


def weighing(**weights: float) -> WordModel:
    known = np.zeros((2, BUCKETS), np.float16)
    for word, weight in weights.items():
        known[1, place_of(word, BUCKETS)] = weight
    return WordModel(known)


def test_words_count_once_and_in_any_case() -> None:
    assert hash_buckets("Pay pay PAY").tolist() == hash_buckets("pay pay").tolist()
    assert len(hash_buckets("pay rent")) == 3, "two words and their pair"
    assert hash_buckets("").tolist() == hash_buckets(" .;").tolist() == []


def test_word_weights_differ_by_label() -> None:
    wording = weighing(escrow=2.0, rent=-1.0)
    some = [hash_buckets(text) for text in ("Escrow", "escrow", "pay rent", "")]
    odds = wording.log_odds([0, 1, 1, 1], some)
    assert odds.tolist() == pytest.approx([0, 2, -1 / 3**0.5, 0])


def test_a_model_is_read_as_it_was_written() -> None:
    wording = weighing(escrow=0.125, rent=3.0)
    data = write_word_model(wording)
    assert np.array_equal(read_word_model(data).weights, wording.weights)
