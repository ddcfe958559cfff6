"""The routes of signals and narrative flags."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api.findings import BoxOut, CellOut, read_page, require_result
from services.triage.narrative.flags import WARNING_PREFIX
from services.triage.store import Reports
from shared.blobs import BlobStore
from shared.errors import Conflict
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import DocumentPath


class InputOut(CellOut):
    """A figure of a ratio, with its cell."""

    figure: str = Field(description="such as `revenue` or `assets`")
    value: int | float = Field(description="whole units; costs without their sign")


class PriorRatioOut(BaseModel):
    """The ratio in an earlier period of the same length."""

    end: str = Field(description="YYYYMMDD")
    value: float


class PeerRangeOut(BaseModel):
    """The usual range: 19 of 20 companies are from `low` to `high`."""

    companies: int
    low: float
    median: float
    high: float
    distance: float = Field(ge=0, description="from the median; 1 at the end of the range")


class SignalOut(BaseModel):
    """One ratio of a filing's latest period. It sets neither `flagged` nor `risk`."""

    id: str
    filing: str = Field(description="id of the filing within the document")
    signal: str
    title: str
    level: Literal["usual", "unusual", "strong"] = Field(
        description="`unusual`: outside 19 of 20 companies; `strong`: for a person"
    )
    distance: float = Field(ge=0, description="the larger of `peers` and `change`")
    value: float
    unit: Literal["share", "times", "days", "score"]
    end: str = Field(description="YYYYMMDD, of the period")
    quarters: int
    message: str
    formula: str
    source: str = Field(description="publication that describes the ratio")
    inputs: list[InputOut]
    history: list[PriorRatioOut] = Field(description="the latest first")
    peers: PeerRangeOut | None = Field(
        description="its level among companies; null if too few have it"
    )
    change: PeerRangeOut | None = Field(
        description="its yearly change among companies; null if unknown or too few have it"
    )
    explained_by: str | None = Field(
        None, description="id of the finding that doubts one of its figures; null without one"
    )
    page: int | None
    boxes: list[BoxOut]


class SignalsOut(BaseModel):
    """A page of a report's signals: filing by filing, the most unusual first."""

    items: list[SignalOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


class FlagOut(BaseModel):
    """A sentence about the company, now. It sets neither `flagged` nor `risk`."""

    id: str
    family: str = Field(
        description="`going_concern`, `material_weakness`, `investigation` or `related_party`"
    )
    title: str
    text: str = Field(description="the sentence, with single blanks")
    start: int = Field(description="offset in code points into the document's text")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    boxes: list[BoxOut] = Field(description="positions of the sentence, if pages have boxes")
    confidence: float = Field(ge=0, le=1, description="that it is about the company, now")
    level: Literal["likely", "strong"] = Field(
        description="`strong`: the surest of its family goes to a person"
    )
    filer: str | None = Field(description="the word that names the company; null without one")


class FlagsOut(BaseModel):
    """A page of a report's narrative flags, the surest first."""

    items: list[FlagOut]
    next: str | None = Field(description="cursor of the next page; null at the end")
    warnings: list[str] = Field(
        description="sentences that were not read, and why; only English is read"
    )


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """`/signals` and `/narrative-flags` below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])

    @router.get(
        "/signals",
        responses=problems(404, 409),
        response_model_exclude_unset=True,
        summary="Unusual ratios of a report",
    )
    def signals(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> SignalsOut:
        """Compares ratios of the report, such as days of inventory, with earlier years and with
        other companies.
        """
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        if report.signals is None:
            raise Conflict(
                f"document {document_id} has no signals: their data was not installed. "
                "Reprocess it",
                document=document_id,
            )
        forms, after = read_page(blobs, actor.tenant, report.signals, cursor, limit)
        return SignalsOut(items=[SignalOut.model_validate(form) for form in forms], next=after)

    @router.get(
        "/narrative-flags", responses=problems(404, 409), summary="Narrative flags of a report"
    )
    def narrative_flags(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> FlagsOut:
        """Lists sentences about the company that a reader should see, such as going-concern doubt
        or a material weakness.
        """
        with store.read() as session:
            record = Reports(session, actor.tenant).get(document_id)
        flags_only = record and record.state == "failed" and record.narrative
        report = record if record and flags_only else require_result(record, document_id)
        if report.narrative is None:
            raise Conflict(
                f"document {document_id} has no narrative flags: their specialist was not "
                "installed. Reprocess it",
                document=document_id,
            )
        warnings = [text for text in report.warnings if text.startswith(WARNING_PREFIX)]
        forms, after = read_page(blobs, actor.tenant, report.narrative, cursor, limit)
        items = [FlagOut.model_validate(form) for form in forms]
        return FlagsOut(items=items, next=after, warnings=warnings)

    return router
