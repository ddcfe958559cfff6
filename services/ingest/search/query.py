"""Parses search queries. Any text is a valid query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.search.words import forms

SHORTEST_BEGINNING = 2
"""Letters before a `*`; fewer match half the index."""

_PIECE = re.compile(r'["“”„«»]([^"“”„«»]*)(?:["“”„«»](\*?)|$)|([^\s"“”„«»]+)')


@dataclass(frozen=True)
class Part:
    """Neighbouring words; with `open_end` the last one is a prefix."""

    words: tuple[str, ...]
    open_end: bool = False

    def __str__(self) -> str:
        return " ".join(self.words) + ("*" if self.open_end else "")


@dataclass(frozen=True)
class Query:
    """All parts must match, in any order. Without parts nothing matches."""

    parts: tuple[Part, ...]


def read_query(text: str) -> Query:
    """Parse a query: words, "phrases in quotes", and `*` after a prefix.

    All of them must match. `AND`, `-` and brackets have no meaning.
    """
    parts: dict[Part, None] = {}
    for quoted, star, plain in _PIECE.findall(text):
        content = (plain or quoted).rstrip()
        if part := _part(content, open_end=content.endswith("*") or bool(star)):
            parts[part] = None
    return Query(tuple(parts))


def _part(text: str, *, open_end: bool) -> Part | None:
    """A word with several inside, such as `non-compete`, is a phrase."""
    matches = forms(text)
    if not matches:
        return None
    return Part(matches, open_end and len(matches[-1]) >= SHORTEST_BEGINNING)


def find_part(part: Part, word_forms: Sequence[str]) -> list[tuple[int, int]]:
    """Return where a part matches among words: first index, and one after the last."""
    *before, last = part.words
    size = len(part.words)
    matches = []
    for at in range(len(word_forms) - size + 1):
        end = at + size
        fits = (
            word_forms[end - 1].startswith(last) if part.open_end else word_forms[end - 1] == last
        )
        if fits and list(word_forms[at : end - 1]) == before:
            matches.append((at, end))
    return matches
