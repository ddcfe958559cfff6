"""The route that holds a report against earlier ones of its company in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api import PlaceOut, require_result
from services.triage.dismissals import filer_of
from services.triage.domain import number
from services.triage.history import (
    KEPT,
    SLIPS,
    Difference,
    Earlier,
    differences,
    last_day,
    uncompared,
)
from services.triage.reading.document import checked, narrowed
from services.triage.statements import JSON, BadFiling, Filing, read_filings
from services.triage.store import Reports, position_of
from shared.events import BlobRef
from shared.storage import BlobStore, MissingBlob, Store
from shared.web.auth import CurrentActor
from shared.web.ids import DocumentPath
from shared.web.openapi import problems

MOST_BYTES = 8_000_000
"""Bytes of the statements of another document: filings of many companies have more."""
MOST_READ = 16_000_000
"""Bytes of earlier documents that one request reads, and of the document's own filings from which
on a page ends.
"""
MOST_DIFFERENCES = 500
"""Lines that one filing lists."""


class ComparedOut(BaseModel):
    """An earlier filing that the report was held against."""

    document_id: str
    filing: str = Field(description="id of the filing within the document")


class DifferenceOut(BaseModel):
    """A line of an earlier period that no earlier filing shows so."""

    statement: str
    row: int = Field(description="0-based")
    column: int = Field(description="0-based")
    label: str
    end: str = Field(description="YYYYMMDD, of the column")
    reported: int | float = Field(description="whole units")
    earlier: int | float = Field(description="in the latest of the earlier filings that show it")
    document_id: str = Field(description="of that filing")
    filing: str
    doubted: bool = Field(description="it looks like a slip and not like a restatement")
    cause: Literal["stale", "transposed", "scale"] | None = Field(
        description="of one that is doubted: the amount of another column, two digits exchanged, a "
        "factor of a thousand (or a million), of the line alone or of its whole column"
    )
    place: PlaceOut | None


class HistoryOut(BaseModel):
    """One filing of the report beside the earlier ones of its company. It flags nothing."""

    filing: str
    compared: list[ComparedOut] = Field(
        description="the latest first; none: no earlier one is here"
    )
    differences: list[DifferenceOut]
    warnings: list[str] = Field(
        description="earlier documents that were not read, columns that were not compared, and how "
        "many more lines differ"
    )


class HistoriesOut(BaseModel):
    """A page of a document's filings, in its own order."""

    items: list[HistoryOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """`/history` below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])

    @router.get(
        "/history",
        responses=problems(404, 409),
        summary="What a report says of earlier periods, and what its company said then",
    )
    def history(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=20)] = 5,
    ) -> HistoriesOut:
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        assert report.statements is not None, "a triaged report has statements"
        first = position_of(cursor) + 1 if cursor is not None else 0
        with blobs.open(actor.tenant, report.statements) as lines:
            taken, more = _page(islice(lines, first, None), limit)
        compared = Compared(store, blobs, actor.tenant, document_id)
        return HistoriesOut(
            items=[compared.filing(one) for line in taken for one in _filings(line)],
            next=str(first + len(taken) - 1) if more else None,
        )

    return router


class Compared:
    """Holds the filings of one document against what the store has of their companies, within what
    one request may read.
    """

    def __init__(self, store: Store, blobs: BlobStore, tenant: str, document_id: str) -> None:
        self.store = store
        self.blobs = blobs
        self.tenant = tenant
        self.document_id = document_id
        self.left = MOST_READ
        self.known: dict[str, list[tuple[str, Earlier]]] = {}
        """What was read of other documents: companies and what their filings show."""

    def filing(self, read: Filing) -> HistoryOut:
        """One filing beside those of its company that end earlier, the latest dozen."""
        filing = narrowed(read)
        earlier, unread = self._earlier(filing)
        found = differences(filing, earlier)
        doubted_first = sorted(found, key=lambda one: not one.doubted)[:MOST_DIFFERENCES]
        shown = set(map(id, doubted_first))
        warnings = [*filing.warnings[len(read.warnings) :]]
        if unread:
            warnings.append(
                f"not compared with {', '.join(unread)}: their statements are too long to be read "
                "for this request; fewer filings a page (`limit`) may help"
            )
        if earlier and (why := uncompared(filing, earlier)):
            warnings.append(why)
        if len(found) > len(shown):
            warnings.append(f"{len(found):,} lines differ, of which {len(shown):,} are listed")
        return HistoryOut(
            filing=filing.id,
            compared=[ComparedOut(document_id=e.document, filing=e.filing) for e in earlier],
            differences=[_shown(filing, one) for one in found if id(one) in shown],
            warnings=warnings,
        )

    def _earlier(self, filing: Filing) -> tuple[list[Earlier], list[str]]:
        """What earlier filings show, the latest first, and the documents that were not read."""
        filer, last = filer_of(filing.company), last_day(filing)
        if not filer:
            return [], []
        with self.store.read() as session:
            known = Reports(session, self.tenant).earlier(filer, last, self.document_id, KEPT)
        unread = [
            document for document, statements in known if not self._read(document, statements)
        ]
        found = [
            one
            for document, _ in known
            for company, one in self.known.get(document, ())
            if company == filer and one.last < last
        ]
        return sorted(found, key=lambda one: one.last, reverse=True)[:KEPT], unread

    def _read(self, document: str, statements: BlobRef) -> bool:
        """Read another document, once. Returns false for one that is too long for a request; one
        that was deleted since has no filings.
        """
        if document in self.known:
            return True
        if statements.size > min(MOST_BYTES, self.left):
            return False
        self.left -= statements.size
        found = self.known[document] = []
        with suppress(MissingBlob), self.blobs.open(self.tenant, statements) as lines:
            found += [
                (filer_of(one.company), Earlier.of(narrowed(one), document))
                for line in lines
                for one in _filings(line)
            ]
        return True


def _page(lines: Iterable[bytes], limit: int) -> tuple[list[bytes], bool]:
    """Lines for one page, at least one and not many more bytes than MOST_READ; and whether there
    are more.
    """
    taken: list[bytes] = []
    for line in lines:
        if len(taken) == limit or (taken and sum(map(len, taken)) + len(line) > MOST_READ):
            return taken, True
        taken.append(line)
    return taken, False


def _filings(line: bytes) -> Sequence[Filing]:
    found = read_filings(line, JSON)
    return [checked(one) for one in found if not isinstance(one, BadFiling)]


def _shown(filing: Filing, one: Difference) -> DifferenceOut:
    statement = filing.statements[one.cell.statement]
    row = statement.rows[one.cell.row]
    place = row.place(one.cell.column)
    reported, earlier = number(one.reported), number(one.earlier)
    assert reported is not None
    assert earlier is not None
    return DifferenceOut(
        statement=statement.statement,
        row=one.cell.row,
        column=one.cell.column,
        label=row.label,
        end=statement.columns[one.cell.column].end or "",
        reported=reported,
        earlier=earlier,
        document_id=one.document,
        filing=one.filing,
        doubted=one.doubted,
        cause=one.cause if one.cause in SLIPS and one.doubted else None,
        place=PlaceOut.model_validate(place.to_json()) if place else None,
    )
