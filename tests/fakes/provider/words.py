"""Whether a passage has the words of a label.

White space, ligatures and divided words count as equal, as in quotes. A masked name or sum does not
match.
"""

from __future__ import annotations

from functools import lru_cache

from services.escalation.prompts.quote_check import Passage


def standing(words: str, passage: str) -> str | None:
    """The first place in a passage with these words, as written there; None without any."""
    for start, end in _taken_apart(passage).find(words):
        return passage[start:end]
    return None


@lru_cache(maxsize=64)
def _taken_apart(passage: str) -> Passage:
    """A passage prepared to search several labels in."""
    return Passage(passage)
