"""The route for monitoring: guarantees and notices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from shared.monitoring.monitor import ConfidenceOf, describe
from shared.monitoring.store import MonitoringState, MonitoringStore
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

NOTICES = 50
"""Number of notices in a response."""


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MonitorOut(_Answer):
    """Monitoring of the risk guarantee of one specialist."""

    adapter: str
    version: str | None = Field(description="version of the specialist; null without a guarantee")
    max_wrong: float | None = Field(description="the stated risk; null without a guarantee")
    level: float | None = Field(description="confidence level of the guarantee")
    belief: float | None = Field(
        description="acceptance threshold of the guarantee: the probability that a result is "
        "right. The calibration computes it from `confidence` and, for clauses, from the category"
    )
    belief_now: float | None = Field(
        description="the threshold in force, after tightening and without suspended categories; "
        "null: nothing is accepted"
    )
    threshold: float | None = Field(
        description="for findings: `belief` as a confidence. Null for clauses, where it differs by "
        "category, and if another version made the guarantee"
    )
    threshold_now: float | None = Field(
        description="`belief_now` as a confidence; null: nothing is accepted, or unknown"
    )
    step: int = Field(description="how often the threshold was tightened")
    suspended: list[str] = Field(
        description="categories that people review because of wrong checks"
    )
    accepted: int = Field(
        description="results of stored documents that were accepted automatically, under any "
        "guarantee"
    )
    documents: int = Field(
        description="documents (or filings) with all checks decided, since the guarantee"
    )
    checks: int
    wrong: int
    interval: tuple[float, float] | None = Field(
        description="95% interval of the share of errors, from these checks alone; null without "
        "checks"
    )
    checks_needed: int | None = Field(
        description="number of checks without an error that would show the stated risk"
    )
    evidence: float = Field(
        description="evidence against the guarantee; 1: none. A kept guarantee ever reaches "
        "`alarm_at` with probability at most 1 / `alarm_at`"
    )
    alarm_at: float
    drifted: bool = Field(description="whether drift was detected")
    drift_documents: int
    drift_evidence: float = Field(description="evidence of drift, as `evidence`")
    drift_alarm_at: float
    stability_index: float | None = Field(
        description="distance of the last documents from the calibration data; 0.1 is small, 0.25 "
        "is large"
    )
    calibration: int | None = Field(description="number of the tenant's calibration in force")
    calibrated: datetime | None
    calibrated_by: str | None


class NoticeOut(_Answer):
    """An event of monitoring."""

    adapter: str
    kind: Literal["risk", "category", "drift", "calibrated", "undone", "loosened"]
    about: str = Field(description="the category, if it is about one")
    text: str
    actor: str = Field(description="the person; empty if a test raised it")
    time: datetime


class MonitorsOut(BaseModel):
    """Monitoring of each specialist, and the newest notices first."""

    items: list[MonitorOut]
    notices: list[NoticeOut]
    next: str | None = None


ConfidenceLookup = Callable[[Any, MonitoringState], ConfidenceOf | None]
"""Returns the conversion of beliefs to confidences for a tenant's state, if there is one."""


def _no_confidence(_store: MonitoringStore, _state: MonitoringState) -> None:
    """Return None: thresholds differ by result."""


def routes(
    store: Store,
    kind: type[MonitoringStore],
    path: str,
    summary: str,
    confidence_for: ConfidenceLookup = _no_confidence,
) -> APIRouter:
    """Return the router of a service's monitoring.

    Args:
        store: of the service.
        kind: its monitoring store.
        path: below `/v1`.
        summary: of the route.
        confidence_for: finds the conversion of beliefs to confidences.
    """
    router = APIRouter(prefix="/v1", tags=["watch"])

    @router.get(path, responses=problems(), summary=summary)
    def monitors(actor: CurrentActor) -> MonitorsOut:
        """Says for each specialist whether its stated risk still holds, from the hidden sample that
        people check, and whether documents have drifted.
        """
        with store.read() as session:
            mine = kind(session, actor.tenant)
            accepted = mine.count_accepted()
            items = [
                describe(
                    state,
                    mine.calibration(state.adapter),
                    accepted.get(state.adapter, 0),
                    confidence_for(mine, state),
                )
                for state in mine.states()
            ]
            notices = mine.newest_notices(NOTICES)
        return MonitorsOut(
            items=[MonitorOut.model_validate(item) for item in items],
            notices=[NoticeOut.model_validate(notice) for notice in notices],
        )

    return router
