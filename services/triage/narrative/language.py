"""Whether a text is English, which is the only language whose sentences are read.

Little words tell a language (Ingle, 1976): those below are frequent in English prose, and lines of
tables have some as well. Left out are those that other languages write alike ("for", "in", "was").
"""

from __future__ import annotations

import re

FEWEST = 200
"""Words of a text that can be judged."""
LEAST = 0.02
"""Share of little words from which on a text is English."""
STRETCHES, STRETCH = 20, 5_000
"""Of a long text so many stretches, evenly apart, of so many characters are looked at."""

_LITTLE = frozenset(("the", "and", "of", "with", "by", "our", "are", "were", "from", "that",
                     "which", "has", "this", "its", "been", "their"))  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def is_english(text: str) -> bool:
    """Whether it is, as far as can be told: too few words count as English."""
    words = [word.lower() for word in _WORD.findall(_some_of(text))]
    little = sum(word in _LITTLE for word in words)
    return len(words) < FEWEST or little >= LEAST * len(words)


def _some_of(text: str) -> str:
    if len(text) <= STRETCHES * STRETCH:
        return text
    step = len(text) // STRETCHES
    return "\n".join(text[at * step : at * step + STRETCH] for at in range(STRETCHES))
