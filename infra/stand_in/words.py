"""Whether a passage has the words of a label, as its page prints them.

The comparison is that of quotes: any white space, ligatures and words divided at the end of a line
count as the same. Masking is not undone: where a placeholder stands for a name or a sum of the
label, the passage does not have it.
"""

from __future__ import annotations

from functools import lru_cache

from services.escalation.quotes import Passage


def standing(words: str, passage: str) -> str | None:
    """A passage's own words where it has these first; None where it has not."""
    for start, end in _taken_apart(passage).find(words):
        return passage[start:end]
    return None


@lru_cache(maxsize=64)
def _taken_apart(passage: str) -> Passage:
    """A passage that several labels are looked for in."""
    return Passage(passage)
