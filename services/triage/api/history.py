"""The route that compares a report with earlier ones of its company."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api.findings import PositionOut, require_result
from services.triage.dismissals import filer_key
from services.triage.domain import Report
from services.triage.history import (
    KEPT,
    SLIPS,
    Difference,
    PriorAmount,
    differences,
    last_day,
    uncompared,
)
from services.triage.reading.document import limit_size, without_equity
from services.triage.statements.model import BadFiling, Filing, number, read_filings
from services.triage.store import Reports, position_of
from shared.blobs import BlobStore, MissingBlob
from shared.documents.model.formats import JSON
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import DocumentPath

MOST_BYTES = 8_000_000  # bytes of the statements of another document that are read
MOST_READ = 16_000_000
"""Bytes of earlier documents that one request reads, and of the document's filings on a page."""
MOST_DIFFERENCES = 500  # differences that one filing lists


class ComparedOut(BaseModel):
    """An earlier filing that the report was compared with."""

    document_id: str
    filing: str = Field(description="id of the filing within the document")
    end: str = Field(description="its last day, YYYYMMDD")
    risk: float = Field(ge=0, le=1, description="of the document, as in `/findings`")
    flagged: bool = Field(description="of the document")


class DifferenceOut(BaseModel):
    """A line of an earlier period whose amount no earlier filing shows."""

    statement: str
    row: int = Field(description="0-based")
    column: int = Field(description="0-based")
    label: str
    end: str = Field(description="YYYYMMDD, of the column")
    reported: int | float = Field(description="whole units")
    earlier: int | float = Field(description="in the latest earlier filing that shows it")
    document_id: str = Field(description="of that filing")
    filing: str
    suspect: bool = Field(description="looks like a slip, not like a restatement")
    cause: Literal["stale", "transposed", "scale"] | None = Field(
        description="of a suspect: the amount of another column, two swapped digits, or a "
        "factor of a thousand or a million"
    )
    place: PositionOut | None


class HistoryOut(BaseModel):
    """One filing of the report compared with earlier ones of its company. It flags nothing."""

    filing: str
    compared: list[ComparedOut] = Field(
        description="the latest first; empty without earlier filings"
    )
    differences: list[DifferenceOut]
    warnings: list[str] = Field(
        description="documents that were not read, and the number of unlisted differences"
    )


class HistoriesOut(BaseModel):
    """A page of a document's filings, in order."""

    items: list[HistoryOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """`/history` below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])

    @router.get(
        "/history",
        responses=problems(404, 409),
        summary="Earlier periods of a report compared with earlier reports",
    )
    def history(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=20)] = 5,
    ) -> HistoriesOut:
        """Compares the earlier periods that a report prints with the reports of those periods, and
        lists changed amounts.
        """
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        assert report.statements is not None, "a triaged report has statements"
        first = position_of(cursor) + 1 if cursor is not None else 0
        with blobs.open(actor.tenant, report.statements) as lines:
            taken, more = _page(islice(lines, first, None), limit)
        compared = Compared(store, blobs, actor.tenant, document_id)
        return HistoriesOut(
            items=[compared.filing(filing) for line in taken for filing in _filings(line)],
            next=str(first + len(taken) - 1) if more else None,
        )

    return router


class Compared:
    """Compares the filings of one document with stored ones, within a limit per request."""

    def __init__(self, store: Store, blobs: BlobStore, tenant: str, document_id: str) -> None:
        self.store = store
        self.blobs = blobs
        self.tenant = tenant
        self.document_id = document_id
        self.bytes_left = MOST_READ
        self.amounts: dict[str, list[tuple[str, PriorAmount]]] = {}
        """Amounts of other documents, by company."""
        self.reports: dict[str, Report] = {}  # other documents by id

    def filing(self, read: Filing) -> HistoryOut:
        """Compare one filing with the latest earlier ones of its company."""
        filing = limit_size(read)
        earlier, unread = self._earlier(filing)
        diffs = differences(filing, earlier)
        doubted_first = sorted(diffs, key=lambda diff: not diff.suspect)[:MOST_DIFFERENCES]
        shown = set(map(id, doubted_first))
        warnings = [*filing.warnings[len(read.warnings) :]]
        if unread:
            warnings.append(
                f"not compared with {', '.join(unread)}: their statements are too long for this "
                "request. A smaller `limit` may help"
            )
        if earlier and (why := uncompared(filing, earlier)):
            warnings.append(why)
        if len(diffs) > len(shown):
            warnings.append(f"{len(diffs):,} lines differ; only {len(shown):,} are listed")
        return HistoryOut(
            filing=filing.id,
            compared=[self._compared(prior) for prior in earlier],
            differences=[_shown(filing, diff) for diff in diffs if id(diff) in shown],
            warnings=warnings,
        )

    def _earlier(self, filing: Filing) -> tuple[list[PriorAmount], list[str]]:
        """Amounts of earlier filings, the latest first, and the documents that were not read."""
        filer, last = filer_key(filing.company), last_day(filing)
        if not filer:
            return [], []
        with self.store.read() as session:
            documents = Reports(session, self.tenant).earlier(filer, last, self.document_id, KEPT)
        self.reports |= {report.document_id: report for report in documents}
        unread = [report.document_id for report in documents if not self._read(report)]
        amounts = [
            prior
            for report in documents
            for company, prior in self.amounts.get(report.document_id, ())
            if company == filer and prior.last < last
        ]
        return sorted(amounts, key=lambda prior: prior.last, reverse=True)[:KEPT], unread

    def _compared(self, prior: PriorAmount) -> ComparedOut:
        report = self.reports[prior.document]
        return ComparedOut(
            document_id=prior.document,
            filing=prior.filing,
            end=prior.last,
            risk=report.risk,
            flagged=report.flagged,
        )

    def _read(self, report: Report) -> bool:
        """Read another document, once. Returns false if it is too long."""
        document, statements = report.document_id, report.statements
        assert statements is not None, "a triaged report has statements"
        if document in self.amounts:
            return True
        if statements.size > min(MOST_BYTES, self.bytes_left):
            return False
        self.bytes_left -= statements.size
        amounts = self.amounts[document] = []
        with suppress(MissingBlob), self.blobs.open(self.tenant, statements) as lines:
            amounts += [
                (filer_key(filing.company), PriorAmount.of(limit_size(filing), document))
                for line in lines
                for filing in _filings(line)
            ]
        return True


def _page(lines: Iterable[bytes], limit: int) -> tuple[list[bytes], bool]:
    """Lines for one page, limited by MOST_READ, and whether there are more."""
    taken: list[bytes] = []
    for line in lines:
        if len(taken) == limit or (taken and sum(map(len, taken)) + len(line) > MOST_READ):
            return taken, True
        taken.append(line)
    return taken, False


def _filings(line: bytes) -> Sequence[Filing]:
    filings = read_filings(line, JSON)
    return [without_equity(filing) for filing in filings if not isinstance(filing, BadFiling)]


def _shown(filing: Filing, difference: Difference) -> DifferenceOut:
    statement = filing.statements[difference.cell.statement]
    row = statement.rows[difference.cell.row]
    position = row.position(difference.cell.column)
    return DifferenceOut(
        statement=statement.statement,
        row=difference.cell.row,
        column=difference.cell.column,
        label=row.label,
        end=statement.columns[difference.cell.column].end or "",
        reported=number(difference.reported),
        earlier=number(difference.earlier),
        document_id=difference.document,
        filing=difference.filing,
        suspect=difference.suspect,
        cause=difference.cause if difference.cause in SLIPS and difference.suspect else None,
        place=PositionOut.model_validate(position.to_json()) if position else None,
    )
