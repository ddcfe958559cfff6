"""Classify the characters of a text, testing each distinct character once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


class Characters:
    """The characters of a text."""

    def __init__(self, text: str) -> None:
        self._codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        self._different = sorted(set(text))

    def are(self, kind: Callable[[str], bool]) -> Flags:
        """Return whether each character is of a kind [code points]."""
        table = np.zeros(ord(self._different[-1]) + 1 if self._different else 0, bool)
        table[[ord(letter) for letter in self._different if kind(letter)]] = True
        flags: Flags = table[self._codes]
        return flags
