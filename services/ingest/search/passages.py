"""Passages of a document for the search index: a page, part of a long page, or a clause.

A passage is indexed with the words after it, so that a phrase is found across a page break.
Headers, footers and page numbers are indexed separately, so that they don't break phrases.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.ingest.search.words import Word, words
from shared.documents import ParsedDocument
from shared.errors import SuiteError

MAX_WORDS = 1_000
"""Words of one passage. PostgreSQL stores positions up to 16,383, and 256 of a word."""
AHEAD = 32
"""Words after a passage that are indexed with it: the longest phrase across a page break."""
BREAK = "¶"
"""Separates words that are not neighbours; it is no word, so no query has it."""

Span = tuple[int, int]


class BadClauses(SuiteError):
    """The announced blob is no list of clauses of this document."""

    code = "bad_results"


class FoundClause(BaseModel):
    """A clause as search needs it; offsets count in the document's text."""

    id: str
    category: str
    start: int
    end: int
    page: int
    confidence: float


class Furniture:
    """Spans of running headers, footers and page numbers; supports `offset in spans`."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._edges: list[int] = []
        for start, end in sorted(spans):
            if self._edges and start <= self._edges[-1]:
                self._edges[-1] = max(end, self._edges[-1])
            else:
                self._edges += [start, end]

    def __contains__(self, offset: int) -> bool:
        return bisect_right(self._edges, offset) % 2 == 1

    def within(self, start: int, end: int) -> tuple[Span, ...]:
        first, last = (
            bisect_right(self._edges, start) // 2,
            (bisect_left(self._edges, end) + 1) // 2,
        )
        return tuple((self._edges[2 * at], self._edges[2 * at + 1]) for at in range(first, last))


@dataclass(frozen=True)
class Passage:
    """`text[start:end]` on one page, indexed with the text up to `reach`.

    Offsets are code points of the document's text; `first_byte` and `bytes` locate
    `text[start:reach]` in UTF-8. `furniture` are the header and footer spans within. `words` go
    into the index, separated by spaces; a stored passage has none.
    """

    page: int
    start: int
    end: int
    reach: int
    first_byte: int
    bytes: int
    furniture: tuple[Span, ...] = ()
    clause: FoundClause | None = None
    words: str = field(default="", repr=False)

    def sequence(self, text: str, origin: int = 0) -> list[Word]:
        """Return the words as indexed, from a text that starts at offset `origin`.

        The running words with those that follow, then those of headers and footers.
        """
        running: list[Word] = []
        margin: list[Word] = []
        furniture = Furniture(self.furniture)
        for form, start, end in words(text, self.start - origin, self.reach - origin):
            word = Word(form, start + origin, end + origin)
            if word.start not in furniture:
                running.append(word)
            elif word.start < self.end:
                margin.append(word)
        return [*running, Word(BREAK, self.end, self.end), *margin] if margin else running

    def with_words(self, text: str) -> Passage:
        return replace(self, words=" ".join(word.form for word in self.sequence(text)))


def passages(reading: ParsedDocument) -> list[Passage]:
    """Return the passages of a document in order; parts without words have none."""
    text, furniture = reading.text, Furniture(reading.furniture)
    bytes_of = _Bytes(text)
    found = []
    for page in reading.pages:
        for start, end in _pieces(text, page.start, page.end):
            reach = _reach(text, end, furniture)
            within = furniture.within(start, reach)
            first, size = bytes_of(start), len(text[start:reach].encode())
            passage = Passage(page.number, start, end, reach, first, size, within)
            found.append(passage.with_words(text))
    return found


def passages_of_clauses(
    clauses: Sequence[FoundClause], text: str, furniture: Furniture
) -> list[Passage]:
    """Return a passage for each clause. Raises BadClauses for one outside the text."""
    bytes_of = _Bytes(text)
    found = []
    for clause in sorted(clauses, key=lambda c: (c.start, c.end, c.category)):
        start, end = clause.start, clause.end
        if not 0 <= start < end <= len(text):
            raise BadClauses(
                f"Clause {clause.id} has offsets {start}:{end} in {len(text)} characters."
            )
        first, size = bytes_of(start), len(text[start:end].encode())
        within = furniture.within(start, end)
        passage = Passage(clause.page, start, end, end, first, size, within, clause)
        found.append(passage.with_words(text))
    return found


def read_clauses(data: bytes, document: str) -> list[FoundClause]:
    """Parse the clauses of a blob. Raises BadClauses."""
    try:
        return TypeAdapter(list[FoundClause]).validate_json(data)
    except ValidationError as error:
        raise BadClauses(
            f"The clauses of document {document} are invalid: {error.errors()[0]['msg']}",
            document=document,
        ) from None


class _Bytes:
    """UTF-8 offsets of ascending code point offsets, each counted from the previous."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._bytes = 0

    def __call__(self, offset: int) -> int:
        self._bytes += len(self._text[self._at : offset].encode())
        self._at = offset
        return self._bytes


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    """Split a page before a word where it has too many."""
    starts = [word.start for word in words(text, start, end)][::MAX_WORDS]
    yield from zip(starts, [*starts[1:], end], strict=False)  # no starts: no words, no pieces


def _reach(text: str, end: int, furniture: Furniture) -> int:
    remaining, reach = AHEAD, end
    for word in words(text, end):
        if word.start not in furniture:
            remaining, reach = remaining - 1, word.end
            if not remaining:
                break
    return reach
