"""Where the specialist has nothing to say, and says so: text it cannot read, or does not know.

The measure is the vocabulary's own: how many word pieces a word falls into. English prose takes
little more than one; other languages, damaged characters and bad OCR take more the less of them the
vocabulary knows. A document that is no contract, or one of a kind never seen, shows in how few
categories are likely to be there. `python -m models.doubts` measures both sides of the thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.extraction.letters import Letters

STRETCH = 250  # tokens that are judged together, about a page
PIECES = 1.5  # for each word: a stretch with more is not read as English
SHARE = 0.25  # of the stretches; a document with less is not warned of
FEWEST = 50  # tokens of words in a stretch that can be judged: not rules, dots and blanks


def pieces_per_word(text: str, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many tokens there are for each word, stretch by stretch.

    Args:
        text: that was read.
        offsets: of its tokens [T, 2], in order.

    Returns:
        One figure for each stretch of STRETCH tokens that has enough words [S].
    """
    letters, starts = Letters(text), offsets[:, 0]
    inside = letters.are(_in_word)
    begins = inside & ~np.append(False, inside[:-1])
    word = np.cumsum(begins)[starts]
    spelled = letters.are(str.isalnum)[starts]
    figures = []
    for first in range(0, len(starts), STRETCH):
        some = word[first : first + STRETCH][spelled[first : first + STRETCH]]
        if len(some) >= FEWEST:
            figures.append(len(some) / len(np.unique(some)))
    return np.array(figures)


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def unread_share(text: str, offsets: NDArray[np.int64]) -> float:
    """Return the share of a text's stretches that don't read as English, 0 without any."""
    figures = pieces_per_word(text, offsets)
    return float((figures > PIECES).mean()) if len(figures) else 0.0


def doubts(text: str, offsets: NDArray[np.int64]) -> tuple[str, ...]:
    """Return what to warn of: one sentence for each reason not to rely on the result."""
    share = unread_share(text, offsets)
    if share < SHARE:
        return ()
    return (
        f"about {share:.0%} of the text is in another language than English or has damaged "
        "characters; clauses there are missed, so let a person read it",
    )


def unfamiliar(kinds: float, least: float) -> tuple[str, ...]:
    """Return what to warn of where a contract has hardly anything that contracts have.

    Args:
        kinds: how many categories of clauses are expected to be there: the sum of their chances.
        least: what 99 of 100 contracts reach; 0 where that isn't known.
    """
    if kinds >= least:
        return ()
    here, usual = _apart(kinds, least)
    return (
        f"fewer kinds of clauses are expected in it than in 99 of 100 contracts (about {here}, "
        f"and in those about {usual} or more): it may be no contract, or of a kind that the "
        "specialist doesn't know, so let a person look at it",
    )


def _apart(one: float, other: float) -> tuple[str, str]:
    """Two unequal figures, with as many decimals as tell them apart, and at least one."""
    digits = next((d for d in range(1, 9) if f"{one:.{d}f}" != f"{other:.{d}f}"), 9)
    return f"{one:.{digits}f}", f"{other:.{digits}f}"
