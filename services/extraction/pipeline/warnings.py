"""Warnings about text that the specialist cannot read, or that is unlike the contracts it knows.

The first measure is the number of word pieces for each word. English prose has little more than
one; other languages, damaged characters and bad OCR have more. The second is the expected number of
categories, which is low in documents that are no contracts. `python -m models.clauses.warnings`
measures both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from services.extraction.pipeline.characters import Characters
from shared.documents.model.formats import MAILS

CHUNK_TOKENS = 250  # about a page
MAX_PIECES = 1.5  # word pieces for each word in a chunk of English
WARNING_SHARE = 0.25  # share of unread chunks at which a document gets a warning
MIN_CHUNK_TOKENS = 50  # tokens of words in a chunk that can be judged: not rules, dots and blanks
UNFAMILIAR = "this does not look like a contract: almost no usual clause was found"


def pieces_per_word(text: str, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number of tokens for each word, by chunk.

    Args:
        offsets: of its tokens [T, 2], in order.

    Returns:
        One figure for each chunk of CHUNK_TOKENS that has enough words [S].
    """
    letters, starts = Characters(text), offsets[:, 0]
    inside = letters.are(_in_word)
    begins = inside & ~np.append(False, inside[:-1])
    word = np.cumsum(begins)[starts]
    spelled = letters.are(str.isalnum)[starts]
    figures = []
    for first in range(0, len(starts), CHUNK_TOKENS):
        some = word[first : first + CHUNK_TOKENS][spelled[first : first + CHUNK_TOKENS]]
        if len(some) >= MIN_CHUNK_TOKENS:
            figures.append(len(some) / len(np.unique(some)))
    return np.array(figures)


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def unread_share(text: str, offsets: NDArray[np.int64]) -> float:
    """Return the share of chunks that don't read as English; 0 without chunks."""
    figures = pieces_per_word(text, offsets)
    return float((figures > MAX_PIECES).mean()) if len(figures) else 0.0


def language_warnings(text: str, offsets: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a warning if too much of the text is not readable English."""
    share = unread_share(text, offsets)
    if share < WARNING_SHARE:
        return ()
    return (
        f"about {share:.0%} of the text is not English or has damaged characters. Clauses there "
        "are missed: let a person read it",
    )


def unfamiliar_warnings(kinds: float, least: float) -> tuple[str, ...]:
    """Return a warning if the text has hardly any category of contracts.

    Args:
        kinds: expected number of categories: the sum of their probabilities.
        least: what 99 of 100 contracts reach; 0 if unknown.
    """
    if kinds >= least:
        return ()
    return (UNFAMILIAR,)


def shown_warnings(warnings: Iterable[str], media_type: str) -> tuple[str, ...]:
    """The warnings for people. The text of a mail need not look like a contract."""
    return tuple(one for one in warnings if one != UNFAMILIAR or media_type not in MAILS)
