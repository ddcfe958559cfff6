"""The route that lists reports by risk: where to look first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api import ModelOut
from services.triage.domain import Report
from services.triage.store import Reports, Tally, Wanted
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

Share = Annotated[float, Query(ge=0, le=1)]


class ReportOut(BaseModel):
    """A report that was triaged. Risk is no verdict: a person has to look."""

    document_id: str
    name: str = Field(description="of the file; empty where it was judged before that was kept")
    risk: float = Field(
        ge=0,
        le=1,
        description="of the riskiest filing: how likely its likeliest doubt is right, also one "
        "that is too unlikely to be a finding",
    )
    flagged: bool
    filings: int = Field(description="filings that were read")
    findings: int = Field(description="without those that are folded away")
    dismissed: int = Field(description="findings that are folded away: nobody is asked about them")
    decided: int = Field(description="of `findings`, those that people decided about")
    narrative_flags: int | None = Field(
        description="sentences that say something of the filer; null where they were not looked for"
    )
    warnings: int = Field(description="of what could not be read")
    model: ModelOut | None = Field(description="what judged it; null if that was not kept yet")
    updated: datetime = Field(description="when it was judged")


class ReportsOut(BaseModel):
    """A page of the reports, by risk."""

    items: list[ReportOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


def routes(store: Store) -> APIRouter:
    """`/v1/reports`."""
    router = APIRouter(prefix="/v1/reports", tags=["findings"])

    @router.get("", responses=problems(), summary="Reports by risk, the riskiest first")
    def by_risk(
        actor: CurrentActor,
        flagged: Annotated[bool | None, Query(description="only those, or only the others")] = None,
        least: Annotated[Share, Query(description="risk at the least")] = 0.0,
        most: Annotated[Share, Query(description="risk at the most")] = 1.0,
        order: Annotated[
            Literal["-risk", "risk"], Query(description="`-risk`: the riskiest first")
        ] = "-risk",
        cursor: Annotated[str | None, Query(max_length=120)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> ReportsOut:
        wanted = Wanted(flagged, least, most, order == "-risk")
        with store.read() as session:
            reports = Reports(session, actor.tenant)
            found, more = reports.by_risk(wanted, cursor=cursor, limit=limit)
            tallies = reports.tallies([report.document_id for report in found])
        items = [_shown(report, tallies.get(report.document_id, Tally())) for report in found]
        return ReportsOut(items=items, next=more)

    return router


def _shown(report: Report, tally: Tally) -> ReportOut:
    assert report.updated is not None, "a report that is read from the store has a time"
    return ReportOut(
        document_id=report.document_id,
        name=report.name,
        risk=report.risk,
        flagged=report.flagged,
        filings=report.filings,
        findings=report.found - tally.folded,
        dismissed=tally.folded,
        decided=tally.decided,
        narrative_flags=report.narrative_found if report.narrative else None,
        warnings=len(report.warnings),
        model=ModelOut(**report.model.to_json()) if report.model else None,
        updated=report.updated,
    )
