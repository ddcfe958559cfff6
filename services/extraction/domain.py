"""The stored data of extraction: clauses of a document, and the search of each specialist."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from services.extraction.pipeline.clause_ends import pieces
from services.extraction.pipeline.search import ClauseSpan, Search
from services.extraction.routing.routes import StatedMissed, StatedRisk, is_sampled
from services.extraction.values import ClauseContext, value_json
from shared.documents import ParsedDocument
from shared.documents.model.parsed_document import Box
from shared.errors import DocumentTooLarge
from shared.events import Route
from shared.projection import DocumentRecord

Owner = tuple[str, str, str]  # tenant, document and adapter of a clause


@dataclass(frozen=True)
class Nearest:
    """The candidate of a category with the highest confidence, however low."""

    text: str
    start: int
    end: int
    page: int
    confidence: float


@dataclass(frozen=True)
class CategoryResult:
    """The result of a search for one category."""

    category: str
    probability: float
    nearest: Nearest | None


@dataclass(frozen=True)
class SearchRecord:
    """The searched part of a document, and the result for each category."""

    characters: int
    pages: int
    failed_pages: tuple[int, ...]
    categories: tuple[CategoryResult, ...]
    warnings: tuple[str, ...] = ()  # reasons not to rely on the result
    kind_unsure: bool = False  # the document may be no contract


@dataclass(frozen=True)
class Pass:
    """The search of one specialist in a document, with its guarantees."""

    adapter: str
    version: str
    searched: SearchRecord
    risk: StatedRisk | None = None
    """The guarantee for its accepted clauses; None if the policy states no risk."""
    missed: StatedMissed | None = None
    """The guarantee for the clauses it does not show; None if the policy states no share."""


PASSES = TypeAdapter(tuple[Pass, ...])  # reads and writes the stored form of passes, which is JSON


@dataclass(frozen=True)
class Extraction(DocumentRecord):
    """The record of one document in extraction."""

    passes: tuple[Pass, ...] = ()
    """One for each specialist, in the order of their names in the request."""

    @property
    def is_provisional(self) -> bool:
        """Whether the clauses are those of the first pages, while the rest is still read."""
        return self.state == "waiting" and bool(self.passes)


def limit_length(text: str, most: int) -> None:
    """Raise DocumentTooLarge for a text that a specialist would search for hours."""
    if len(text) > most:
        raise DocumentTooLarge(
            f"the text has {len(text):,} characters, and extraction searches at most {most:,} "
            "(setting SMALLPRINT_EXTRACTION_MAX_CHARACTERS)"
        )


class Omitted(NamedTuple):
    """A part of a clause that is not its words: a page number, running head or legend."""

    start: int
    end: int


@dataclass(frozen=True)
class ExtractedClause:
    """A clause with its evidence: exact text, offsets (code points), page, boxes (PDF points)."""

    id: str
    adapter: str
    category: str
    text: str
    start: int
    end: int
    page: int
    confidence: float
    omitted: tuple[Omitted, ...] = ()
    boxes: tuple[Box, ...] = field(default=())
    route: Route = "review"
    sampled: bool = False
    """Whether it is a hidden audit sample: it could be accepted, but a person decides."""

    @property
    def value(self) -> dict[str, Any] | None:
        """Its normalised value, computed from its text."""
        return value_json(self.category, self.text, self.start)

    @property
    def context(self) -> ClauseContext:
        """The parts that the values of its contract depend on."""
        return ClauseContext(self.id, self.category, self.confidence, self.start, self.text)

    def to_json(self) -> dict[str, Any]:
        """The clause in REST and events."""
        shown = {**self.to_row(), "value": self.value}
        del shown["sampled"]
        return shown

    def to_row(self) -> dict[str, Any]:
        """The stored columns."""
        return {
            **vars(self),
            "omitted": [span._asdict() for span in self.omitted],
            "boxes": [box._asdict() for box in self.boxes],
        }


NEAREST_CHARACTERS = 500  # stored characters of a nearest passage


def add_evidence(
    clauses: Iterable[ClauseSpan],
    owner: Owner,
    page_at: Callable[[int], int],
    boxes_of: Callable[[int, int], Iterable[Box]] = lambda _start, _end: (),
) -> list[ExtractedClause]:
    """Give each clause of a specialist its id, page and boxes."""
    return [
        ExtractedClause(
            id=clause_id(owner, clause.category, clause.start, clause.end),
            adapter=owner[2],
            page=page_at(clause.start),
            boxes=tuple(
                box
                for piece in pieces(clause.start, clause.end, clause.omitted)
                for box in boxes_of(*piece)
            ),
            **{**vars(clause), "omitted": tuple(Omitted(*span) for span in clause.omitted)},
        )
        for clause in clauses
    ]


def apply_routes(
    clauses: Sequence[ExtractedClause], routes: Sequence[Route], sample_share: float, key: bytes
) -> Iterator[ExtractedClause]:
    """Set the routes, and draw a share of the accepted clauses as audit samples with a key."""
    for clause, route in zip(clauses, routes, strict=True):
        sampled = route == "accept" and is_sampled(clause.id, sample_share, key)
        yield replace(clause, route="review" if sampled else route, sampled=sampled)


def sort_by_position(clauses: Iterable[ExtractedClause]) -> list[ExtractedClause]:
    """Sort the clauses of several specialists in the order of the text."""
    return sorted(clauses, key=lambda c: (c.start, c.end, c.category, c.adapter))


def clause_id(owner: Owner, category: str, start: int, end: int) -> str:
    """The id of a clause, equal whenever the same specialist finds the same clause again."""
    parts = (*owner, category, str(start), str(end))
    return "cl_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def search_record(found: Search, reading: ParsedDocument) -> SearchRecord:
    """Record how much was searched, and the result for each category."""
    lines = []
    for line in found.presence:
        nearest = None
        if clause := line.nearest:
            end = min(clause.end, clause.start + NEAREST_CHARACTERS)
            text, page = reading.text[clause.start : end], reading.page_at(clause.start)
            nearest = Nearest(text, clause.start, end, page, clause.confidence)
        lines.append(CategoryResult(line.category, line.probability, nearest))
    failed = tuple(page.number for page in reading.failed)
    return SearchRecord(len(reading.text), reading.page_count, failed, tuple(lines), found.warnings)


def combined_record(passes: Sequence[Pass]) -> SearchRecord:
    """The searches of several specialists as one record."""
    records = [one.searched for one in passes]
    warnings = dict.fromkeys(warning for record in records for warning in record.warnings)
    categories = tuple(line for record in records for line in record.categories)
    return replace(records[0], categories=categories, warnings=tuple(warnings))
