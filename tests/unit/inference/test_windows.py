"""Windows over a stream of tokens, and the mean of what they say."""

from __future__ import annotations

import numpy as np
import pytest

from shared.inference.windows import WindowAverage, triangle, window_starts


@pytest.mark.parametrize("tokens", [0, 1, 253, 254, 255, 446, 447, 1000, 12_345])
def test_windows_cover_every_token_with_one_length(tokens: int) -> None:
    starts = window_starts(tokens, 254, 192)
    seen = {t for start in starts for t in range(start, min(start + 254, tokens))}
    assert seen == set(range(tokens))
    assert tokens < 254 or all(start + 254 <= tokens for start in starts)
    assert starts == sorted(set(starts))


def test_the_last_window_is_moved_back() -> None:
    """500 tokens: windows at 0 and 192, and the last one ends with the stream."""
    assert window_starts(500, 254, 192) == [0, 192, 246]


def test_the_middle_of_a_window_weighs_most() -> None:
    assert triangle(5).tolist() == [1, 2, 3, 2, 1]


def test_overlapping_windows_are_averaged_by_weight() -> None:
    average = WindowAverage(tokens=5, labels=1)
    average.add(0, np.zeros((3, 1), np.float32))
    average.add(2, np.ones((3, 1), np.float32))
    assert average.mean()[:, 0].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
