"""What people type into a search box, read so that any text is a query and none is a program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.search.words import forms

SHORTEST_BEGINNING = 2
"""Letters that a word has to begin with where its end is left open; fewer fit half the index."""

_PIECE = re.compile(r'["“”„«»]([^"“”„«»]*)(?:["“”„«»](\*?)|$)|([^\s"“”„«»]+)')


@dataclass(frozen=True)
class Part:
    """Words that stand side by side; `open_end` if the last of them may go on."""

    words: tuple[str, ...]
    open_end: bool = False

    def __str__(self) -> str:
        return " ".join(self.words) + ("*" if self.open_end else "")


@dataclass(frozen=True)
class Query:
    """What is looked for: all of the parts, in whatever order. Without any, nothing is found."""

    parts: tuple[Part, ...]


def read_query(text: str) -> Query:
    """Words have to be there, all of them; "words in quotes" side by side; a star at the end of a
    word stands for any ending. What is no word (`AND`, `-` and brackets are none) has no meaning.
    """
    parts: dict[Part, None] = {}
    for quoted, star, plain in _PIECE.findall(text):
        content = (plain or quoted).rstrip()
        if part := _part(content, open_end=content.endswith("*") or bool(star)):
            parts[part] = None
    return Query(tuple(parts))


def _part(text: str, *, open_end: bool) -> Part | None:
    """A word that holds more than one, as `non-compete` does, is a phrase."""
    found = forms(text)
    if not found:
        return None
    return Part(found, open_end and len(found[-1]) >= SHORTEST_BEGINNING)


def places(part: Part, there: Sequence[str]) -> list[tuple[int, int]]:
    """Where a part stands among words: the first and one after the last, in order."""
    *before, last = part.words
    size = len(part.words)
    found = []
    for at in range(len(there) - size + 1):
        end = at + size
        fits = there[end - 1].startswith(last) if part.open_end else there[end - 1] == last
        if fits and list(there[at : end - 1]) == before:
            found.append((at, end))
    return found
