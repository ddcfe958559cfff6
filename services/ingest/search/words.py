"""What a word is, in a text and in a query, on every database.

SQLite and PostgreSQL each have a notion of their own (PostgreSQL takes `and/or` for the name of a
file); so the databases are given words that are made here, and what they find can be located in
the text by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

LONGEST = 64
"""Characters of a word that count: PostgreSQL refuses words without end, and nobody types them."""

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u00ad\u0300-\u036f])*")
"""Letters and digits, with the accents and soft hyphens that stand between them."""
_INSIDE = re.compile(r"(?:[^\W_]|[\u00ad\u0300-\u036f]){2}")
"""Two characters of which the second may go on with the word of the first."""


class Word(NamedTuple):
    """A word: the form that is compared, and where it stands, in code points."""

    form: str
    start: int
    end: int


def words(text: str, start: int = 0, end: int | None = None) -> Iterator[Word]:
    """The words of `text[start:end]` in order; what has no form is none."""
    for found in _WORD.finditer(text, start, len(text) if end is None else end):
        if form := _form(found.group()):
            yield Word(form, found.start(), found.end())


def plain_forms(text: str, start: int, end: int) -> list[str]:
    """The forms of `words(text, start, end)`, several times as fast: without their places."""
    found = _WORD.findall(text, start, end)
    if text[start:end].isascii():
        return [word.lower()[:LONGEST] for word in found]
    return [form for word in found if (form := _form(word))]


def at_most(text: str, start: int, end: int) -> int:
    """How many words `text[start:end]` has, and what has no form counts as well."""
    return len(_WORD.findall(text, start, end))


def splits_word(text: str, offset: int) -> bool:
    """Whether `text[:offset]` may end within a word, so that its words are not those of the text up
    to there."""
    return bool(_INSIDE.match(text, offset - 1)) if offset else False


def forms(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared."""
    return tuple(word.form for word in words(text))


def _form(word: str) -> str:
    """Without case, accents and ligatures: nothing but letters and digits."""
    return word.lower()[:LONGEST] if word.isascii() else _plain(word)


@lru_cache(10_000)
def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(letter for letter in letters if letter.isalnum())[:LONGEST]
