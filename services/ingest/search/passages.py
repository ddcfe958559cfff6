"""A document is found by its passages: a page, or a piece of a long one, and each of its clauses.

A passage is indexed with the words that follow it, so that a phrase is found across the end of a
page. Headers, footers and page numbers are set apart, so that they don't come between; they are
found all the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.ingest.search.words import Word, at_most, plain_forms, splits_word, words
from shared.documents import Reading
from shared.errors import SuiteError

MOST_WORDS = 1_000
"""Words of one passage. PostgreSQL keeps the places of a word up to the 256th, and all below
16,384.
"""
AHEAD = 32
"""Words after a passage that are indexed with it: the longest phrase that a page may break."""
BREAK = "¶"
"""Stands between words that are no neighbours; nobody can ask for it, for it is no word."""

Span = tuple[int, int]


class BadClauses(SuiteError):
    """What extraction announced is no list of clauses of this document."""

    code = "bad_results"


class FoundClause(BaseModel):
    """What search wants to know of a clause: offsets count in the document's text."""

    id: str
    category: str
    start: int
    end: int
    page: int
    confidence: float


class Furniture:
    """The spans of a text that are set apart, by which an offset is `in` it or not."""

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
        """The spans that have some of `start` to `end`."""
        first, last = (
            bisect_right(self._edges, start) // 2,
            (bisect_left(self._edges, end) + 1) // 2,
        )
        return tuple((self._edges[2 * at], self._edges[2 * at + 1]) for at in range(first, last))


@dataclass(frozen=True)
class Passage:
    """`text[start:end]` of a document on one page, indexed together with what follows until
    `reach`. `furniture` are the spans within that are set apart; all offsets are code points of the
    document's text. `first_byte` and `bytes` are where `text[start:reach]` lies in its UTF-8.
    `words` are what the database gets, with a space between; one that comes from it has none.
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
        """Its words as they are indexed, from a text that begins at offset `origin`: the running
        words with those that follow, then those of its headers and footers.
        """
        running: list[Word] = []
        aside: list[Word] = []
        furniture = Furniture(self.furniture)
        for form, start, end in words(text, self.start - origin, self.reach - origin):
            word = Word(form, start + origin, end + origin)
            if word.start not in furniture:
                running.append(word)
            elif word.start < self.end:
                aside.append(word)
        return [*running, Word(BREAK, self.end, self.end), *aside] if aside else running

    def with_words(self, text: str) -> Passage:
        """The same with its words, from the whole text."""
        forms = self._forms(text)
        if forms is None:
            forms = [word.form for word in self.sequence(text)]
        return replace(self, words=" ".join(forms))

    def _forms(self, text: str) -> list[str] | None:
        """The forms of its `sequence`, stretch by stretch; None where a word stands across the edge
        of what is set apart.
        """
        edges = [self.start, *chain(*Furniture(self.furniture).within(0, self.reach)), self.reach]
        edges = [min(max(edge, self.start), self.reach) for edge in edges]
        ends = {*edges[1:-1], self.end} - {self.reach}
        if any(splits_word(text, edge) for edge in ends):
            return None
        running: list[str] = []
        aside: list[str] = []
        for number, (start, end) in enumerate(pairwise(edges)):
            if not number % 2:
                running += plain_forms(text, start, end)
            elif start < self.end:
                aside += plain_forms(text, start, min(end, self.end))
        return [*running, BREAK, *aside] if aside else running


def passages(reading: Reading) -> list[Passage]:
    """The passages of a document's text, in its order; nothing for what has no word."""
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
    """One for each clause. Raises BadClauses for a clause that lies outside the text."""
    bytes_of = _Bytes(text)
    found = []
    for clause in sorted(clauses, key=lambda c: (c.start, c.end, c.category)):
        start, end = clause.start, clause.end
        if not 0 <= start < end <= len(text):
            raise BadClauses(f"clause {clause.id} has {start}:{end} in {len(text)} characters")
        first, size = bytes_of(start), len(text[start:end].encode())
        within = furniture.within(start, end)
        passage = Passage(clause.page, start, end, end, first, size, within, clause)
        found.append(passage.with_words(text))
    return found


def read_clauses(data: bytes, document: str) -> list[FoundClause]:
    """The clauses in a blob. Raises BadClauses."""
    try:
        return TypeAdapter(list[FoundClause]).validate_json(data)
    except ValidationError as error:
        raise BadClauses(
            f"the clauses of document {document} can't be read: {error.errors()[0]['msg']}",
            document=document,
        ) from None


class _Bytes:
    """Offsets in UTF-8 of ascending offsets in a text, each counted from the one before."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._bytes = 0

    def __call__(self, offset: int) -> int:
        self._bytes += len(self._text[self._at : offset].encode())
        self._at = offset
        return self._bytes


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    """A page, cut before a word where it has too many."""
    if at_most(text, start, end) <= MOST_WORDS:
        whole = next(words(text, start, end), None)
        if whole is not None:
            yield whole.start, end
        return
    first, count = None, 0
    for word in words(text, start, end):
        if first is None:
            first = word.start
        elif count == MOST_WORDS:
            yield first, word.start
            first, count = word.start, 0
        count += 1
    if first is not None:
        yield first, end


def _reach(text: str, end: int, furniture: Furniture) -> int:
    """The end of the words that follow."""
    left, reach = AHEAD, end
    for word in words(text, end):
        if word.start not in furniture:
            left, reach = left - 1, word.end
            if not left:
                break
    return reach
