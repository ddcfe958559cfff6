"""What the words of a candidate say of its label: a linear model, label by label.

The encoder has read a candidate in its surroundings; which words it is made of is another view.
Each word and each pair of neighbours falls into one of a fixed number of places by its CRC-32
(Weinberger et al., 2009); a text is the set of its places, as a vector of length one, and every
label weighs them in its own way (models/wording.py learns how). What comes out is one more number
that the list is judged by (listing.py).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.extraction.candidates import Floats, Integers
from shared.linear import place_of, with_pairs, words_of

PLACES = 2**16
"""So many: about 600,000 different words and pairs of contracts share them."""

WORDS_FILE = "words.npz"
"""Among those of an adapter."""


@dataclass(frozen=True)
class Wording:
    """Weights of the places of words and pairs, for each label."""

    weights: NDArray[np.float16]  # [labels, PLACES]

    def said(self, label: Sequence[int], places: Sequence[Integers]) -> Floats:
        """Return what the words of each candidate say of its label [L], 0 where nothing is known.

        It is in log odds, beside those of the ranking.

        Args:
            label: of each candidate [L].
            places: of the words of each [L], as `places_of` gives them.
        """
        sums = [
            float(self.weights[one, some].astype(np.float32).sum()) / max(len(some), 1) ** 0.5
            for one, some in zip(label, places, strict=True)
        ]
        return np.array(sums, np.float32)


def places_of(text: str) -> Integers:
    """Return the places of a text's words and pairs, each once, ascending."""
    pieces = set(with_pairs(words_of(text)))
    places: Integers = np.unique(np.fromiter((place_of(p, PLACES) for p in pieces), np.int64))
    return places


def write_wording(wording: Wording) -> bytes:
    """Return the file of a model."""
    out = io.BytesIO()
    np.savez_compressed(out, weights=wording.weights)
    return out.getvalue()


@lru_cache(maxsize=8)
def read_wording(data: bytes) -> Wording:
    """Return the model in a file, verified before (shared/inference/adapters.py)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        return Wording(kept["weights"])
