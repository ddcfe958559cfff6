"""Words of texts and queries, the same on every database.

SQLite and PostgreSQL split texts differently (PostgreSQL takes `and/or` for a file name). So they
get words made here, and matches can be located in the text by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

LONGEST = 64
"""Characters of a word that count: PostgreSQL limits them."""

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u00ad\u0300-\u036f])*")
"""Letters and digits, with accents and soft hyphens between them."""


class Word(NamedTuple):
    """A word: its normalised form and its offsets in code points."""

    form: str
    start: int
    end: int


def words(text: str, start: int = 0, end: int | None = None) -> Iterator[Word]:
    """Yield the words of `text[start:end]` in order."""
    for found in _WORD.finditer(text, start, len(text) if end is None else end):
        if form := _form(found.group()):
            yield Word(form, found.start(), found.end())


def forms(text: str) -> tuple[str, ...]:
    """Return the normalised words of a text."""
    return tuple(word.form for word in words(text))


def _form(word: str) -> str:
    """Remove case, accents and ligatures."""
    return word.lower()[:LONGEST] if word.isascii() else _plain(word)


@lru_cache(10_000)
def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(letter for letter in letters if letter.isalnum())[:LONGEST]
