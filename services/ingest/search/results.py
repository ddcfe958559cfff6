"""Answers a query with excerpts of the matching passages."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from services.ingest.search.passages import FoundClause, Furniture, Passage, Span
from services.ingest.search.query import Query, find_part
from services.ingest.search.store import Filters, Match, Passages
from services.ingest.search.words import Word
from shared.blobs import BlobStore, MissingBlob
from shared.categories import find_categories
from shared.events import DocumentTitle, Kind
from shared.storage import Store

log = logging.getLogger(__name__)

LENGTH = 300
"""Characters of an excerpt, unless one phrase has more."""
BEFORE = 60
"""Characters before the first match."""
_BEGINS = (re.compile(r"\s\S"), re.compile(r"\W\w"))
"""Where an excerpt may begin: after white space, or else after a mark in a long word."""


@dataclass(frozen=True)
class Excerpt:
    """Text from `start` to `end`, with its matches; all offsets count in the document's text.

    `more` is the number of further places in the passage with all parts of the query.
    """

    start: int
    end: int
    text: str
    marks: tuple[Span, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Hit:
    """A match on a page of a document's text, or in one of its clauses."""

    document_id: str
    document: str
    title: DocumentTitle | None
    kind: Kind
    page: int
    excerpt: Excerpt
    clause: FoundClause | None
    categories: tuple[str, ...] = ()
    """All clause types of the same words."""


class SearchService:
    """Searches the index of one store, with the texts of one blob store."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self.store = store
        self.blobs = blobs

    def categories(self, tenant: str, names: Sequence[str]) -> tuple[str, ...]:
        """Return the categories of a filter as clauses have them. Raises InvalidRequest."""
        with self.store.read() as session:
            return find_categories(names, Passages(session, tenant).has_category)

    def page(
        self, tenant: str, query: Query | None, filters: Filters, *, limit: int, below: int | None
    ) -> tuple[list[Hit], int | None]:
        """Return hits and the id below which the next page starts.

        The newest document comes first, in the order of its text. Without a query every clause
        that passes the filters is a hit.
        """
        hits: list[tuple[int, Hit]] = []
        while len(hits) <= limit and (query is None or query.parts):
            most = limit + 1 - len(hits)
            with self.store.read() as session:
                matches = Passages(session, tenant).find(query, filters, below, most)
            for one in matches:
                if hit := self._hit(tenant, query, one):
                    if hits and _same_words(hits[-1][1], hit):
                        first = hits.pop()[1]
                        hit = replace(first, categories=(*first.categories, *hit.categories))
                    hits.append((one.id, hit))
            if len(matches) < most:
                break
            below = matches[-1].id
        more = hits[limit - 1][0] if len(hits) > limit else None
        return [hit for _, hit in hits[:limit]], more

    def _hit(self, tenant: str, query: Query | None, matches: Match) -> Hit | None:
        """Return None if the match starts in the following passage, or the text was just
        removed.
        """
        passage = matches.passage
        try:
            with self.blobs.open(tenant, matches.text) as stream:
                stream.seek(passage.first_byte)
                text = stream.read(passage.bytes).decode()
        except MissingBlob:
            log.info(
                "a hit is not shown: its text was removed", extra={"document": matches.document_id}
            )
            return None
        excerpt = excerpt_of(passage, text, query)
        if excerpt is None:
            return None
        return Hit(
            matches.document_id,
            matches.document,
            matches.title,
            matches.kind,
            passage.page,
            excerpt,
            passage.clause,
            (passage.clause.category,) if passage.clause else (),
        )


def _same_words(one: Hit, other: Hit) -> bool:
    """Whether both are clauses of the same words. They follow each other in the index."""
    if not one.clause or not other.clause or one.document_id != other.document_id:
        return False
    return (one.clause.start, one.clause.end) == (other.clause.start, other.clause.end)


def excerpt_of(passage: Passage, text: str, query: Query | None) -> Excerpt | None:
    """Return the excerpt with most of the query, from a passage's text (`start` to `reach`).

    It has the matches that stand closest together. Without a query it is the whole text. None if a
    part of the query starts only after the passage.
    """
    if query is None:
        return Excerpt(passage.start, passage.end, text)
    sequence = passage.sequence(text, passage.start)
    word_forms = [word.form for word in sequence]
    by_part = [
        [at for at in find_part(part, word_forms) if sequence[at[0]].start < passage.end]
        for part in query.parts
    ]
    if not all(by_part):
        return None
    every = [(at, part) for part, matches in enumerate(by_part) for at in matches]
    every.sort(key=lambda place: (sequence[place[0][0]].start, place))
    spans = list(_spans(sequence, every))
    *_, (low, high) = max(spans, key=lambda span: (span[0], -span[1]))
    first, last = low - passage.start, high - passage.start
    start, end = _around(text[: max(passage.end - passage.start, last)], first, last)
    shown = start + passage.start, end + passage.start
    return Excerpt(
        *shown,
        text[start:end],
        tuple(_marks(passage, sequence, every, *shown)),
        _count((span for parts, _, span in spans if parts == len(query.parts)), shown),
    )


PartMatch = tuple[tuple[int, int], int]
"""First word, one after the last, and the number of the query's part."""


def _spans(sequence: Sequence[Word], every: Sequence[PartMatch]) -> Iterator[tuple[int, int, Span]]:
    """Yield for each match how many parts of the query fit into an excerpt from it on, how far
    apart they begin, and the span that has them.
    """
    for number, ((at, until), _) in enumerate(every):
        start, last = sequence[at].start, sequence[until - 1].end
        parts, apart = set(), 0
        for (begin, other), part in every[number:]:
            if sequence[other - 1].end > max(start + LENGTH - BEFORE, last):
                break
            if part not in parts:
                last = max(last, sequence[other - 1].end)
                apart = sequence[begin].start - start
            parts.add(part)
        yield len(parts), apart, (start, last)


def _count(spans: Iterable[Span], shown: Span) -> int:
    """Count spans outside an excerpt that do not overlap each other."""
    count, at = 0, 0
    for start, last in spans:
        if start >= at and (last <= shown[0] or start >= shown[1]):
            count, at = count + 1, last
    return count


def _around(text: str, first: int, last: int) -> Span:
    """Return an excerpt around `text[first:last]` that cuts no word."""
    start = max(0, first - BEFORE)
    if start:
        found = (begin.search(text, start, first + 1) for begin in _BEGINS)
        start = next((one.end() - 1 for one in found if one), first)
    end = min(len(text), max(start + LENGTH, last))
    if end < len(text):
        while end > last and not text[end].isspace():
            end -= 1
    start += len(text[start:first]) - len(text[start:first].lstrip())
    return start, last + len(text[last:end].rstrip())


def _marks(
    passage: Passage, sequence: Sequence[Word], every: Sequence[PartMatch], start: int, end: int
) -> Iterator[Span]:
    """Yield the matches within an excerpt; a phrase is one, unless a header interrupts it."""
    furniture = Furniture(passage.furniture)
    wanted = {at for (low, until), _ in every for at in range(low, until)}
    going_on = {at for (low, until), _ in every for at in range(low, until - 1)}
    spans: list[Span] = []
    for at in sorted(wanted):
        word = sequence[at]
        if not start <= word.start < word.end <= end:
            continue
        before = spans[-1][1] if spans else -1
        joins = at - 1 in going_on and sequence[at - 1].end == before
        if joins and not furniture.within(before, word.start):
            spans[-1] = (spans[-1][0], word.end)
        else:
            spans.append((word.start, word.end))
    yield from sorted(spans)
