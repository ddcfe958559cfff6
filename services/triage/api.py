"""The routes of triage: what does not add up in a report, and what was read of it."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.triage.domain import Report
from services.triage.store import Reports, position_of
from shared.errors import Conflict, NotFound
from shared.events import BlobRef, Route
from shared.storage import BlobStore, Store
from shared.web.auth import CurrentActor
from shared.web.ids import DocumentPath
from shared.web.openapi import problems


class PlaceOut(BaseModel):
    """Where a value stands in its document; what the format doesn't have is left out."""

    page: int = Field(description="page or sheet, from 1")
    start: int | None = Field(None, description="offset in code points into the document's text")
    end: int | None = Field(None, description="offset in code points, exclusive")
    cell: str | None = Field(None, description="in a sheet or table: `Income!B7`")
    element: str | None = Field(None, description="id of its element in (inline) XBRL")
    box: tuple[float, float, float, float] | None = Field(
        None, description="x0, y0, x1, y1 on the page: PDF points, origin top left as displayed"
    )


class BoxOut(BaseModel):
    """A rectangle on a page: PDF points, origin top left of the page as displayed."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class CellOut(BaseModel):
    """A cell that a finding names."""

    statement: str
    row: int = Field(description="0-based")
    column: int = Field(description="0-based")
    label: str
    place: PlaceOut | None = Field(description="null in JSON, which no page shows")


class DismissedOut(BaseModel):
    """Why an analyst dismissed the same of the same filer before."""

    reason: str
    by: str
    time: datetime


class FindingOut(BaseModel):
    """One thing that does not add up. This is no audit: a person has to look."""

    id: str
    filing: str = Field(description="id of the filing within the document")
    check: str = Field(
        description="what was checked: `title`, `compares`, `lawful`, `settle` and `example` are "
        "what its page in the documentation says"
    )
    severity: Literal["low", "medium", "high"]
    confidence: float = Field(ge=0, le=1)
    statement: str
    column: int | None = Field(description="0-based; null where the whole statement is meant")
    row: int | None = Field(description="0-based; of a missing line, where it belongs")
    rows: list[int] = Field(description="every line of the statement that takes part")
    label: str | None
    reported: int | float | None = Field(description="whole units")
    expected: int | float | None = Field(description="whole units")
    message: str = Field(description="the arithmetic, written out")
    cells: list[CellOut] = Field(
        description="every cell that takes part, also of other statements; first the one that the "
        "finding is about"
    )
    page: int | None = Field(description="where it is seen; null in JSON")
    boxes: list[BoxOut] = Field(description="of its cells, where the document has pages with boxes")
    title: str | None = Field(None, description="what should hold; null if the check is gone")
    compares: str | None = Field(None, description="what is held against what")
    lawful: str | None = Field(None, description="why it may break in a sound report")
    settle: str | None = Field(None, description="what would settle it")
    example: str | None = Field(None, description="a break as one meets it")
    dismissed: DismissedOut | None = Field(
        None, description="folded away: it counts neither for `risk` nor for `flagged`"
    )
    route: Route = Field(
        "review",
        description="`accept`: sure enough for the stated risk, so that it waits for nobody; "
        "`escalate`: a frontier model is asked before a person",
    )


class ModelOut(BaseModel):
    """What judged a report."""

    name: str = Field(description="`triage-breaks`, or `rules` where that is not installed")
    version: str


class FindingsOut(BaseModel):
    """A page of a report's findings, the surest first."""

    items: list[FindingOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")
    flagged: bool
    risk: float = Field(
        ge=0,
        le=1,
        description="of the riskiest filing: how likely its likeliest doubt is right, also one "
        "that is too unlikely to be a finding",
    )
    filings: int = Field(description="filings that were read")
    model: ModelOut | None = Field(
        None, description="what judged it; null if that was before it was kept"
    )
    warnings: list[str] = Field(
        description="pages, tables, lines and values that could not be read, and why"
    )


class PeriodOut(BaseModel):
    """A moment or a duration."""

    end: str | None = Field(None, description="YYYYMMDD")
    quarters: int | None = Field(None, description="0 for a moment")
    start: str | None = Field(None, description="YYYYMMDD")


class ColumnOut(PeriodOut):
    """A moment or a duration; in a statement of equity a component instead."""

    restated: int | None = Field(None, description="1 if its head says so")
    component: str | None = Field(
        None,
        description="of equity, as its head has it: `Retained earnings`",
    )
    unit: str | None = Field(None, description="`shares` for a component that counts those")


class ConceptOut(BaseModel):
    """What a line is taken for, by its label and its neighbours."""

    name: str = Field(description="of us-gaap; `own` for the company's own, or a rare one")
    confidence: float = Field(ge=0, le=1, description="how likely it is right")


class RowOut(BaseModel):
    """A line with one value a column, in whole units with the sign that the page shows."""

    label: str
    values: list[int | float | None]
    unit: str | None = None
    heading: int | None = Field(None, description="1 for a line without values")
    path: list[str] | None = Field(None, description="the headings above it, the outermost first")
    indent: int | None = Field(None, description="steps from the left edge")
    notes: list[str] | None = Field(None, description="its footnote marks")
    places: list[PlaceOut | None] | None = Field(None, description="one for each value")
    concept: ConceptOut | None = Field(
        None, description="lines of documents have one; data, headings and equity have none"
    )
    period: PeriodOut | None = Field(
        None,
        description="of a line whose columns are components: the moment of a balance, or the time "
        "between two",
    )


class StatementOut(BaseModel):
    """One statement as it was read."""

    statement: str = Field(
        description="`balance_sheet`, `income`, `cash_flow`, or `equity`, which is not checked"
    )
    title: str | None = Field(None, description="as the page has it")
    presented_in: int | None = Field(None, description="1,000 where the page says `in thousands`")
    columns: list[ColumnOut]
    rows: list[RowOut]


class FilingOut(BaseModel):
    """One filing as it was read, in the form that can be uploaded again."""

    model_config = ConfigDict(extra="ignore")

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: list[StatementOut]
    warnings: list[str]


class StatementsOut(BaseModel):
    """A page of a document's filings, in its own order."""

    items: list[FilingOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """What triage answers below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])
    answers = problems(404, 409)

    @router.get(
        "/findings",
        responses=answers,
        response_model_exclude_unset=True,
        summary="What does not add up in a report",
    )
    def findings(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> FindingsOut:
        with store.read() as session:
            reports = Reports(session, actor.tenant)
            report = require_result(reports.get(document_id), document_id)
            found, more = reports.findings(document_id, cursor=cursor, limit=limit)
        return FindingsOut(
            items=[FindingOut.model_validate(item.to_json()) for item in found],
            next=more,
            flagged=report.flagged,
            risk=report.risk,
            filings=report.filings,
            model=ModelOut(**report.model.to_json()) if report.model else None,
            warnings=list(report.warnings),
        )

    @router.get(
        "/statements",
        responses=answers,
        response_model_exclude_unset=True,
        summary="What was read of a report",
    )
    def statements(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> StatementsOut:
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        assert report.statements is not None, "a triaged report has statements"
        return _page(blobs, actor.tenant, report.statements, cursor, limit)

    return router


def _page(
    blobs: BlobStore, tenant: str, ref: BlobRef, cursor: str | None, limit: int
) -> StatementsOut:
    first = position_of(cursor) + 1 if cursor is not None else 0
    with blobs.open(tenant, ref) as lines:
        taken = list(islice(lines, first, first + limit + 1))
    items = [FilingOut.model_validate(json.loads(line)) for line in taken[:limit]]
    return StatementsOut(items=items, next=str(first + limit - 1) if len(taken) > limit else None)


def require_result(known: Report | None, document_id: str) -> Report:
    """The report. Raises NotFound for what is not known, Conflict for what has no findings."""
    if known is None or known.state == "deleted":
        raise NotFound(f"there is no document {document_id}", document=document_id)
    if known.state == "triaged":
        return known
    if known.state == "failed":
        why = f"its state is failed ({known.code}: {known.reason})"
        if known.narrative_found:
            why = (
                f"nothing of its figures was checked ({known.code}: {known.reason}); what it says "
                "of its filer in words was read: ask for its narrative flags"
            )
    elif known.kind != "report":
        why = f"it is of kind {known.kind}, and only reports are triaged"
    else:
        why = "its state is waiting: it has not been worked on yet, ask again soon"
    raise Conflict(
        f"document {document_id} has no statements and findings: {why}", document=document_id
    )
