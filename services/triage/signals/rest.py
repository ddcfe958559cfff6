"""The route of signals: what is unusual in a report though it adds up."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api import BoxOut, CellOut, require_result
from services.triage.store import Reports, position_of
from shared.errors import Conflict
from shared.storage import BlobStore, Store
from shared.web.auth import CurrentActor
from shared.web.ids import DocumentPath
from shared.web.openapi import problems


class InputOut(CellOut):
    """A figure that a ratio is made of, with the cell that has it."""

    figure: str = Field(description="such as `revenue` or `assets`")
    value: int | float = Field(description="whole units; costs without their sign")


class EarlierOut(BaseModel):
    """The ratio in an earlier period of the same length."""

    end: str = Field(description="YYYYMMDD")
    value: float


class BesideOut(BaseModel):
    """What a number is held against; 19 of 20 companies lie from `low` to `high`."""

    companies: int
    low: float
    median: float
    high: float
    distance: float = Field(ge=0, description="from the median; 1 is the bound on its side")


class SignalOut(BaseModel):
    """One ratio of a filing's latest period. It sets neither `flagged` nor `risk`."""

    id: str
    filing: str = Field(description="id of the filing within the document")
    signal: str
    title: str
    level: Literal["usual", "unusual", "strong"] = Field(
        description="`unusual`: beyond 19 of 20 companies; `strong`: so far that a person is asked"
    )
    distance: float = Field(ge=0, description="the larger one of `peers` and `change`")
    value: float
    unit: Literal["share", "times", "days", "score"]
    end: str = Field(description="YYYYMMDD, of the period")
    quarters: int
    message: str
    formula: str
    source: str = Field(description="where the ratio is described")
    inputs: list[InputOut]
    history: list[EarlierOut] = Field(description="the latest first")
    peers: BesideOut | None = Field(description="its level among companies; null: too few have it")
    change: BesideOut | None = Field(
        description="its change within a year among companies; null: not shown, or too few have it"
    )
    page: int | None
    boxes: list[BoxOut]


class SignalsOut(BaseModel):
    """A page of a report's signals: filing by filing, the most unusual first."""

    items: list[SignalOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """`/signals` below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])

    @router.get(
        "/signals",
        responses=problems(404, 409),
        response_model_exclude_unset=True,
        summary="What is unusual in a report though it adds up",
    )
    def signals(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> SignalsOut:
        with store.read() as session:
            report = require_result(Reports(session, actor.tenant).get(document_id), document_id)
        if report.signals is None:
            raise Conflict(
                f"no signals were looked for in document {document_id}: it was judged before there "
                "were any, or without what companies usually show; reprocess it",
                document=document_id,
            )
        first = position_of(cursor) + 1 if cursor is not None else 0
        if not report.signals.size:
            return SignalsOut(items=[], next=None)
        with blobs.open(actor.tenant, report.signals) as lines:
            taken = list(islice(lines, first, first + limit + 1))
        return SignalsOut(
            items=[SignalOut.model_validate(json.loads(line)) for line in taken[:limit]],
            next=str(first + limit - 1) if len(taken) > limit else None,
        )

    return router
