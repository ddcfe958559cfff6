"""The route by which a service says whether what it promises is kept, and what was noticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from shared.storage import Store
from shared.storage.watches import Kept, Watches
from shared.watch.watching import ConfidenceOf, shown
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

NOTICES = 50
"""Notices that are answered: the newest."""


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class WatchOut(_Answer):
    """The watch over what is promised for one specialist."""

    adapter: str
    version: str | None = Field(
        description="of the specialist that it was promised for; null before one was promised"
    )
    max_wrong: float | None = Field(description="the stated risk; null before one was promised")
    level: float | None = Field(description="the confidence with which it was promised")
    belief: float | None = Field(
        description="how likely right a result has to be to be accepted, as promised. It is no "
        "`confidence`: the calibration tells it from that and, of clauses, from the category, so "
        "that one of less `confidence` than this may be accepted and one of more may not"
    )
    belief_now: float | None = Field(
        description="the same as it is now, after it was tightened, and without the categories in "
        "doubt, of which the others have to keep the risk alone; null: nothing is accepted"
    )
    threshold: float | None = Field(
        description="of findings: the confidence from which on one is accepted, as promised; null "
        "of clauses, for which it differs by category, and where it is not known (another version "
        "has promised it)"
    )
    threshold_now: float | None = Field(
        description="the same as it is now; null: nothing is accepted, or it is not known"
    )
    step: int = Field(description="how often the threshold was tightened")
    doubted: list[str] = Field(description="categories that a person looks at, for checks say so")
    accepted: int = Field(
        description="results (clauses, or findings) of the documents that are kept that the "
        "machine accepted by itself, under whatever promise; nobody was asked about them"
    )
    documents: int = Field(
        description="(of findings: filings) whose checks are all decided, since it was promised"
    )
    checks: int
    wrong: int
    interval: tuple[float, float] | None = Field(
        description="where the share of wrong ones lies by these checks alone, with 95% confidence "
        "if it is looked at once; null without checks"
    )
    enough: int | None = Field(
        description="checks, none of them wrong, by which alone the stated risk would be shown"
    )
    evidence: float = Field(
        description="against the promise: 1 is none; a kept promise ever reaches `alarm_at` with "
        "probability 1 / `alarm_at` at most"
    )
    alarm_at: float
    drifted: bool = Field(description="whether documents were noticed to have changed")
    drift_documents: int
    drift_evidence: float = Field(description="that documents changed; as `evidence`")
    drift_alarm_at: float
    stability_index: float | None = Field(
        description="how far the last documents are from those of the calibration; by custom 0.1 "
        "is little, 0.25 is much"
    )
    calibration: int | None = Field(description="number of the calibration made here that holds")
    calibrated: datetime | None
    calibrated_by: str | None


class NoticeOut(_Answer):
    """What was noticed, or what a person did about it."""

    adapter: str
    kind: Literal["risk", "category", "drift", "calibrated", "undone", "loosened"]
    about: str = Field(description="the category, where it is about one")
    text: str
    actor: str = Field(description="who did it; empty for what was noticed")
    time: datetime


class WatchesOut(BaseModel):
    """One watch a specialist, and the newest notices first."""

    items: list[WatchOut]
    notices: list[NoticeOut]
    next: str | None = None


Told = Callable[[Any, Kept], ConfidenceOf | None]
"""By a tenant's watches and one of them: what says how sure a result has to be."""


def _by_belief(_watches: Watches, _kept: Kept) -> None:
    """No confidence is the same for all results."""


def routes(
    store: Store, kind: type[Watches], path: str, summary: str, told_by: Told = _by_belief
) -> APIRouter:
    """What a service answers about its promises.

    Args:
        store: of the service.
        kind: its watches.
        path: below `/v1`.
        summary: of the route.
        told_by: what says from which confidence on results are accepted.
    """
    router = APIRouter(prefix="/v1", tags=["watch"])

    @router.get(path, responses=problems(), summary=summary)
    def watches(actor: CurrentActor) -> WatchesOut:
        with store.read() as session:
            found = kind(session, actor.tenant)
            accepted = found.accepted()
            items = [
                shown(
                    kept,
                    found.calibration(kept.adapter),
                    accepted.get(kept.adapter, 0),
                    told_by(found, kept),
                )
                for kept in found.all()
            ]
            told = found.told(NOTICES)
        return WatchesOut(
            items=[WatchOut.model_validate(one) for one in items],
            notices=[NoticeOut.model_validate(one) for one in told],
        )

    return router
