"""The frozen base without an adapter, whose states are features of other models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.inference.adapters import GRAPH_FILE, TOKENISER_FILE, base_folder
from shared.inference.session import Session
from shared.inference.tokeniser import CLS, SEP, Tokeniser


class FrozenBase:
    """The INT4 base on one thread; `tokenise` cuts a text for it."""

    def __init__(self, artefacts: Path) -> None:
        folder = base_folder(artefacts)
        self._session = Session(folder / GRAPH_FILE, threads=1)
        self.tokenise = Tokeniser(folder / TOKENISER_FILE)

    def states(self, windows: Iterable[Sequence[int] | NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return the states [windows, length, width] of windows of token ids, of one length."""
        ids = np.array([[CLS, *window, SEP] for window in windows], np.int64)
        (hidden,) = self._session.run(["hidden"], ids)
        states: NDArray[np.float32] = hidden[:, 1:-1]
        return states
