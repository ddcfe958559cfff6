"""The routes of findings and statements."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.triage.domain import Outcome, Report
from services.triage.store import Reports, position_of
from shared.blobs import BlobStore
from shared.errors import Conflict, NotFound
from shared.events import BlobRef, Route
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import DocumentPath


class PositionOut(BaseModel):
    """The position of a value in its document."""

    page: int = Field(description="page or sheet, from 1")
    start: int | None = Field(None, description="offset in code points into the document's text")
    end: int | None = Field(None, description="offset in code points, exclusive")
    cell: str | None = Field(None, description="in a sheet or table: `Income!B7`")
    element: str | None = Field(None, description="id of its element in (inline) XBRL")
    box: tuple[float, float, float, float] | None = Field(
        None, description="x0, y0, x1, y1 on the page: PDF points, origin top left as displayed"
    )


class BoxOut(BaseModel):
    """A rectangle on a page: PDF points, origin top left as displayed."""

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
    place: PositionOut | None = Field(description="null in JSON")


class PeriodOut(BaseModel):
    """A moment or a period."""

    end: str | None = Field(None, description="YYYYMMDD")
    quarters: int | None = Field(None, description="0 for a moment")
    start: str | None = Field(None, description="YYYYMMDD")


class DatedCellOut(CellOut):
    """A cell with the period of its column."""

    period: PeriodOut


class LedgerRowOut(DatedCellOut):
    """One amount of a sum."""

    sign: Literal["+", "-"] = Field(description="whether the sum adds or subtracts `value`")
    value: int | float = Field(description="whole units, as the statement shows it")


class LedgerOut(BaseModel):
    """The lines of a sum, and the stated total that they should make. A comparison of two amounts
    has one row."""

    rows: list[LedgerRowOut]
    sum: int | float = Field(description="of the rows with their signs, in whole units")
    total: DatedCellOut = Field(description="the cell of the stated total")
    stated: int | float = Field(description="the total as stated, in whole units")
    difference: int | float = Field(
        description="`stated` less `sum`: above zero, the lines fall short"
    )


class RepairOut(BaseModel):
    """An amount with which the sum adds up."""

    statement: str
    row: int = Field(description="0-based; for a missing line, where it belongs")
    column: int = Field(description="0-based")
    label: str | None = Field(description="null for a missing line")
    period: PeriodOut
    reported: int | float | None = Field(description="whole units; null for an empty cell")
    expected: int | float = Field(description="whole units")


class CauseOut(BaseModel):
    """The likely cause of a finding."""

    code: str = Field(
        description="`sign`, `scale`, `transposed` (two digits), `digit`, `swapped` (columns), "
        "`dropped_line`, `unit` (of a page), or `stale` (the amount of another column)"
    )
    words: str


class EvidenceOut(BaseModel):
    """A fact for or against a finding."""

    code: str = Field(
        description="for: `other_relation`, `other_columns`, `opposite_difference`, "
        "`earlier_filing`, `other_lines`; against: `breaks_relations`, `many_breaks`; "
        "`rounding` may be either"
    )
    words: str


class DismissedOut(BaseModel):
    """An analyst's earlier dismissal of the same finding of the same filer."""

    reason: str
    by: str
    time: datetime


class FindingOut(BaseModel):
    """One thing that does not add up. This is no audit: a person must check it."""

    id: str
    filing: str = Field(description="id of the filing within the document")
    check: str = Field(
        description="what was checked; `title`, `compares`, `possible_explanation`, "
        "`how_to_verify` and `example` are from its documentation page"
    )
    severity: Literal["low", "medium", "high"]
    confidence: float = Field(ge=0, le=1)
    statement: str
    column: int | None = Field(description="0-based; null for a whole statement")
    row: int | None = Field(description="0-based; for a missing line, where it belongs")
    rows: list[int] = Field(description="every line of the statement that takes part")
    label: str | None
    reported: int | float | None = Field(description="whole units")
    expected: int | float | None = Field(description="whole units")
    message: str = Field(
        description="the explanation in words: ledger, `adds_up_if`, `likely_cause`, `supports` "
        "and `doubts`"
    )
    ledger: LedgerOut | None = Field(
        None, description="the sum; null if the check adds nothing up, and for older results"
    )
    adds_up_if: list[RepairOut] = Field(
        default=[],
        description="the amounts that together make the sum add up; empty if they are unknown",
    )
    likely_cause: CauseOut | None = Field(None, description="null if it is unknown")
    supports: list[EvidenceOut] = Field(default=[], description="facts that support the finding")
    doubts: list[EvidenceOut] = Field(default=[], description="facts that speak against it")
    cells: list[CellOut] = Field(
        description="every cell that takes part, also of other statements; the cell in "
        "question first"
    )
    page: int | None = Field(description="null in JSON")
    boxes: list[BoxOut] = Field(description="of its cells, if pages have boxes")
    title: str | None = Field(None, description="what should hold; null for an unknown check")
    compares: str | None = Field(None, description="what is compared")
    possible_explanation: str | None = Field(
        None, description="why it may differ in a sound report"
    )
    how_to_verify: str | None = Field(None, description="how to verify it")
    example: str | None = Field(None, description="an example")
    dismissed: DismissedOut | None = Field(
        None, description="dismissed before: it counts neither for `risk` nor `flagged`"
    )
    route: Route = Field(
        "review",
        description="`accept`: sure enough for the stated risk; `escalate`: a frontier model is "
        "asked before a person",
    )


class OpenRelationOut(BaseModel):
    """A relation that does not close and that no finding explains. It may be lawful."""

    filing: str = Field(description="id of the filing within the document")
    check: str
    title: str | None = Field(description="what should hold")
    statement: str
    column: int = Field(description="0-based, of its total or of the compared amount")
    row: int = Field(description="0-based, of its total or of the compared amount")
    label: str
    reported: int | float = Field(description="whole units")
    expected: int | float = Field(description="amount of the other side, in whole units")
    difference: int | float = Field(description="`reported` less `expected`")
    message: str = Field(description="the arithmetic, written out")
    possible_explanation: str | None = Field(description="the usual lawful reason")
    page: int | None = Field(description="null in JSON")


class CheckedRelationOut(BaseModel):
    """A relation that was checked in one column of a statement."""

    filing: str = Field(description="id of the filing within the document")
    check: str
    statement: str
    end: str | None = Field(description="last day of the column, YYYYMMDD")
    relation: str = Field(description="its lines with their amounts")
    outcome: Outcome = Field(description="`broken`: a finding explains it")


class CoverageOut(BaseModel):
    """Statements found and relations checked. A relation counts once for each tried column."""

    summary: str = Field(description="all of it in words")
    statements: list[str] = Field(description="kinds of statements that were found")
    missing: list[str] = Field(description="kinds that were not found, or not in every filing")
    unread: list[str] = Field(
        default=[], description="kinds of which another statement was found and not read"
    )
    relations: int = Field(description="relations that were checked")
    broken: int = Field(description="broken relations that a finding explains")
    not_closing: int = Field(description="relations that do not close, without a finding")
    balance_unchecked: int = Field(
        default=0, description="filings with a balance sheet whose two sides no relation compares"
    )
    not_added_up: list[str] = Field(
        default=[], description="totals, in words, whose lines above were not added up"
    )
    items: list[OpenRelationOut] = Field(description="the first 100 that do not close")
    checks: list[CheckedRelationOut] = Field(
        default=[], description="the first 100 relations that were checked"
    )


class ModelOut(BaseModel):
    """The model that judged a report."""

    name: str = Field(description="`triage-breaks`, or `rules` where that is not installed")
    version: str


class FindingsOut(BaseModel):
    """A page of a report's findings, the surest first."""

    items: list[FindingOut]
    next: str | None = Field(description="cursor of the next page; null at the end")
    flagged: bool
    risk: float = Field(
        ge=0,
        le=1,
        description="of the riskiest filing: the probability of its likeliest suspect, "
        "even one too unlikely for a finding",
    )
    filings: int = Field(description="filings that were read")
    model: ModelOut = Field(description="the model that judged it")
    warnings: list[str] = Field(description="parts that could not be read, and why")
    coverage: CoverageOut | None = Field(
        None, description="statements found and relations checked; null for older results"
    )


class ColumnOut(PeriodOut):
    """A moment or a period; in a statement of equity a component."""

    restated: int | None = Field(None, description="1 if its head marks it as restated")
    component: str | None = Field(None, description="of equity, from its head: `Retained earnings`")
    unit: str | None = Field(None, description="`shares` for a component that counts shares")


class ConceptOut(BaseModel):
    """The concept of a line, from its label and its neighbours."""

    name: str = Field(description="of us-gaap; `own` for a company's own or rare concept")
    confidence: float = Field(ge=0, le=1, description="probability that it is right")


class RowOut(BaseModel):
    """A line with one value per column, in whole units with the sign on the page."""

    label: str
    values: list[int | float | None]
    unit: str | None = None
    heading: int | None = Field(None, description="1 for a line without values")
    path: list[str] | None = Field(None, description="the headings above it, the outermost first")
    indent: int | None = Field(None, description="steps from the left edge")
    notes: list[str] | None = Field(None, description="its footnote marks")
    places: list[PositionOut | None] | None = Field(None, description="one for each value")
    concept: ConceptOut | None = Field(
        None, description="for lines of documents; not for data, headings and equity"
    )
    period: PeriodOut | None = Field(
        None, description="of a line of equity: the moment of a balance, or the period between two"
    )


class StatementOut(BaseModel):
    """One statement as it was read."""

    statement: str = Field(
        description="`balance_sheet`, `income`, `cash_flow`, or `equity`, which is not checked"
    )
    title: str | None = Field(None, description="from the page")
    presented_in: int | None = Field(None, description="1,000 for `in thousands`")
    columns: list[ColumnOut]
    rows: list[RowOut]


class FilingOut(BaseModel):
    """One filing as it was read, in a form that can be uploaded."""

    model_config = ConfigDict(extra="ignore")

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: list[StatementOut]
    warnings: list[str]


class StatementsOut(BaseModel):
    """A page of a document's filings, in order."""

    items: list[FilingOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """The routes below a document."""
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
        """Lists the broken checks of a report with the cells that take part, the expected amount
        and how to verify it. `flagged` and `risk` sum them up.
        """
        with store.read() as session:
            reports = Reports(session, actor.tenant)
            report = require_result(reports.get(document_id), document_id)
            found, after = reports.findings(document_id, cursor=cursor, limit=limit)
        assert report.model is not None, "a triaged report was judged"
        return FindingsOut(
            items=[FindingOut.model_validate(item.to_json()) for item in found],
            next=after,
            flagged=report.flagged,
            risk=report.risk,
            filings=report.filings,
            model=ModelOut(**report.model.to_json()),
            warnings=list(report.warnings),
            coverage=CoverageOut.model_validate(report.coverage) if report.coverage else None,
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
        """Returns the balance sheet, income, cash flow and equity statements as they were read:
        labels, columns and amounts.
        """
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        assert report.statements is not None, "a triaged report has statements"
        forms, after = read_page(blobs, actor.tenant, report.statements, cursor, limit)
        return StatementsOut(items=[FilingOut.model_validate(form) for form in forms], next=after)

    return router


def read_page(
    blobs: BlobStore, tenant: str, ref: BlobRef, cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """One page of a blob of JSON lines, and the cursor of the next page."""
    first = position_of(cursor) + 1 if cursor is not None else 0
    if not ref.size:
        return [], None
    with blobs.open(tenant, ref) as lines:
        taken = list(islice(lines, first, first + limit + 1))
    after = str(first + limit - 1) if len(taken) > limit else None
    return [json.loads(line) for line in taken[:limit]], after


def require_result(report: Report | None, document_id: str) -> Report:
    """The report. Raises NotFound for an unknown document, Conflict for one without findings."""
    wait = f"GET /v1/documents/{document_id}?wait=20 waits for its end"
    if report is None or report.state == "deleted":
        detail = f"there is no document {document_id}, or it has just been uploaded: {wait}"
        raise NotFound(detail, document=document_id)
    if report.state == "done":
        return report
    if report.state == "failed":
        why = f"its state is failed ({report.code}: {report.reason})"
        if report.narrative_found:
            why = (
                f"its figures were not checked ({report.code}: {report.reason}); its narrative "
                "flags are available"
            )
    elif report.kind != "report":
        why = f"it is of kind {report.kind}, and only reports are triaged"
    else:
        why = f"it has not been processed yet: {wait}"
    detail = f"document {document_id} has no statements and findings: {why}"
    raise Conflict(detail, document=document_id)
