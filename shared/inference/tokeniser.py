"""Text to token ids with their offsets. The only module that imports `tokenizers`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from tokenizers import Tokenizer as _Tokenizer

from shared.inference.errors import BaseError

CLS, SEP = 101, 102
"""First and last token of every window (BERT's vocabulary)."""

PIECE = 200_000
"""Characters that are tokenised at once."""

PLAIN = str.maketrans("\u2018\u2019\u201b\u201c\u201d\u201f\u2010\u2011\u2013", "'''\"\"\"---")
"""Replaces typographic quotes and hyphens by plain ones, one for one, so offsets stay valid.

CUAD's 408 training contracts have no typographic ones, real PDFs many, and the vocabulary treats
them as other words.
"""


@dataclass(frozen=True)
class Tokens:
    """The tokens of a text: ids [T], and offsets [T, 2] in code points, half open."""

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]


class Tokeniser:
    """Splits text into the word pieces of the base."""

    def __init__(self, path: Path) -> None:
        """Load `tokenizer.json`. Raises BaseError."""
        try:
            self._tokenizer = _Tokenizer.from_file(str(path))
        except Exception as error:
            raise BaseError(
                f"{path} can't be loaded as the tokeniser ({error}); restore it from the release"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, text: str) -> Tokens:
        """Tokenise a text, without special tokens.

        Pieces are cut at line ends, which no token crosses, because the library needs some hundred
        bytes for each token at work.
        """
        ids = [np.empty(0, np.int64)]
        offsets = [np.empty((0, 2), np.int64)]
        for start, end in _pieces(text):
            encoding = self._encoded(text[start:end])
            ids.append(np.array(encoding.ids, np.int64))
            offsets.append(np.array(encoding.offsets, np.int64).reshape(-1, 2) + start)
        return Tokens(np.concatenate(ids), np.concatenate(offsets))

    def count(self, text: str) -> int:
        """Return the number of tokens in a text."""
        return sum(len(self._encoded(text[start:end])) for start, end in _pieces(text))

    def _encoded(self, piece: str) -> Encoding:
        return self._tokenizer.encode(piece.translate(PLAIN), add_special_tokens=False)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a text is cut, at line ends if there are any."""
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > PIECE:
            end = text.rfind("\n", start, start + PIECE) + 1 or start + PIECE
        yield start, end
        start = end
