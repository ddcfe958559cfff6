"""The route that lists reports by risk."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api.findings import ModelOut
from services.triage.domain import Report
from services.triage.store import FindingCounts, Reports
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import Title

Share = Annotated[float, Query(ge=0, le=1)]


class ReportOut(BaseModel):
    """A checked report. Risk is no verdict: a person must check it."""

    document_id: str
    name: str = Field(description="of the file")
    title: Title = None
    risk: float = Field(
        ge=0,
        le=1,
        description="of the riskiest filing: the probability of its likeliest suspect, "
        "even one too unlikely for a finding",
    )
    flagged: bool
    filings: int = Field(description="filings that were read")
    findings: int = Field(description="without dismissed ones")
    dismissed: int = Field(description="dismissed findings: nobody is asked about them")
    decided: int = Field(description="of `findings`, those that people decided")
    narrative_flags: int | None = Field(description="null if their specialist is not installed")
    warnings: int = Field(description="about parts that could not be read")
    model: ModelOut = Field(description="the model that judged it")
    updated: datetime = Field(description="when it was judged")


class ReportsOut(BaseModel):
    """A page of reports, by risk."""

    items: list[ReportOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


def routes(store: Store) -> APIRouter:
    """`/v1/reports`."""
    router = APIRouter(prefix="/v1/reports", tags=["findings"])

    @router.get("", responses=problems(), summary="Reports by risk, the riskiest first")
    def by_risk(
        actor: CurrentActor,
        flagged: Annotated[
            bool | None, Query(description="only flagged or only other reports")
        ] = None,
        min_risk: Annotated[Share, Query(description="lowest risk")] = 0.0,
        max_risk: Annotated[Share, Query(description="highest risk")] = 1.0,
        order: Annotated[
            Literal["-risk", "risk"], Query(description="`-risk`: the riskiest first")
        ] = "-risk",
        cursor: Annotated[str | None, Query(max_length=120)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> ReportsOut:
        """Lists reports with their risk and the number of findings. Use `flagged`, `min_risk` and
        `max_risk` to narrow the list.
        """
        with store.read() as session:
            reports = Reports(session, actor.tenant)
            riskiest_first = order == "-risk"
            found, more = reports.by_risk(
                flagged,
                (min_risk, max_risk),
                riskiest_first=riskiest_first,
                cursor=cursor,
                limit=limit,
            )
            tallies = reports.tallies([report.document_id for report in found])
        none = FindingCounts()
        items = [_shown(report, tallies.get(report.document_id, none)) for report in found]
        return ReportsOut(items=items, next=more)

    return router


def _shown(report: Report, tally: FindingCounts) -> ReportOut:
    assert report.updated is not None, "a stored report has a time"
    assert report.model is not None, "a triaged report was judged"
    return ReportOut(
        document_id=report.document_id,
        name=report.name,
        title=report.title,
        risk=report.risk,
        flagged=report.flagged,
        filings=report.filings,
        findings=report.found - tally.folded,
        dismissed=tally.folded,
        decided=tally.decided,
        narrative_flags=report.narrative_found if report.narrative else None,
        warnings=len(report.warnings),
        model=ModelOut(**report.model.to_json()),
        updated=report.updated,
    )
