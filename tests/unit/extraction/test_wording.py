"""Words speak for a label in log odds, each once, in whatever case."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.wording import (
    PLACES,
    Wording,
    places_of,
    read_wording,
    write_wording,
)
from shared.linear import place_of


def weighing(**weights: float) -> Wording:
    """A model of two labels, in whose second some words count."""
    known = np.zeros((2, PLACES), np.float16)
    for word, weight in weights.items():
        known[1, place_of(word, PLACES)] = weight
    return Wording(known)


def test_words_count_once_and_in_any_case() -> None:
    """So a long clause says no more than its words."""
    assert places_of("Pay pay PAY").tolist() == places_of("pay pay").tolist()
    assert len(places_of("pay rent")) == 3, "two words and their pair"
    assert places_of("").tolist() == places_of(" .;").tolist() == []


def test_each_label_weighs_words_in_its_own_way() -> None:
    """By the square root of how many there are; without words nothing is said."""
    wording = weighing(escrow=2.0, rent=-1.0)
    some = [places_of(text) for text in ("Escrow", "escrow", "pay rent", "")]
    said = wording.said([0, 1, 1, 1], some)
    assert said.tolist() == pytest.approx([0, 2, -1 / 3**0.5, 0])


def test_a_model_is_read_as_it_was_written() -> None:
    """To the last bit."""
    wording = weighing(escrow=0.125, rent=3.0)
    data = write_wording(wording)
    assert np.array_equal(read_wording(data).weights, wording.weights)
