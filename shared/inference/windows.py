"""Split tokens into overlapping windows, and average the results of the windows.

Training, evaluation and serving share these functions, so tokens have the same windows everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def window_starts(tokens: int, content: int, stride: int) -> list[int]:
    """Return the first token of each window of `content` tokens over a stream of `tokens`.

    Windows follow each other by `stride`; the last one ends with the stream, so all have the same
    length. A shorter stream is one short window, an empty stream none.
    """
    if tokens <= 0:
        return []
    if tokens <= content:
        return [0]
    last = tokens - content
    return [*range(0, last, stride), last]


def triangle(length: int) -> Floats:
    """Return the weights [length] of a window's tokens: highest in the middle, never zero."""
    distance_to_edge = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return distance_to_edge.astype(np.float32)


class WindowAverage:
    """The weighted mean of overlapping windows' probabilities."""

    def __init__(self, tokens: int, labels: int) -> None:
        self._sum = np.zeros((tokens, labels), np.float32)
        self._weight = np.zeros((tokens, 1), np.float32)

    def add(self, start: int, probabilities: Floats) -> None:
        """Add the probabilities [length, labels] of the window that starts at token `start`."""
        weight = triangle(len(probabilities))[:, None]
        self._sum[start : start + len(probabilities)] += weight * probabilities
        self._weight[start : start + len(probabilities)] += weight

    def mean(self) -> Floats:
        """Return the mean [tokens, labels]; every token must have been in a window."""
        return self._sum / self._weight
