"""The routes of escalation: what was asked, what it cost, and what may be asked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.domain import IN_FORCE, State
from services.escalation.store import Escalations
from shared.events import Stage
from shared.storage import Store
from shared.web.auth import CurrentActor, require_actor
from shared.web.openapi import problems


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class EscalationOut(_Answer):
    """A result that a specialist was unsure of."""

    id: str
    document_id: str
    stage: Stage
    result_id: str
    state: State
    reason: str = Field(description="why there is no answer")
    requested: datetime


class EscalationsOut(BaseModel):
    """A page of requests, newest first."""

    items: list[EscalationOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class SpendOut(_Answer):
    """What one provider was paid."""

    provider: str
    calls: int
    usd: float


class CostsOut(BaseModel):
    """What was spent, from the ledger of every call to a provider."""

    calls: int
    usd: float
    items: list[SpendOut]
    next: str | None = None


class PolicyOut(_Answer):
    """What may be sent out, to whom, and for how much."""

    name: str
    leaves_the_house: bool
    providers: list[str]
    budget_usd: float
    summary: str


def routes(store: Store) -> APIRouter:
    """What escalation answers."""
    router = APIRouter(prefix="/v1", tags=["escalation"])

    @router.get("/escalations", responses=problems(), summary="What was asked of the frontier")
    def escalations(
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=80, pattern=r"^[A-Za-z0-9_-]+$")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> EscalationsOut:
        with store.read() as session:
            found, more = Escalations(session, actor.tenant).newest(cursor=cursor, limit=limit)
        return EscalationsOut(items=[EscalationOut.model_validate(e) for e in found], next=more)

    @router.get("/costs", responses=problems(), summary="What was spent")
    def costs(actor: CurrentActor) -> CostsOut:
        with store.read() as session:
            spent = Escalations(session, actor.tenant).spent()
        return CostsOut(
            calls=sum(s.calls for s in spent),
            usd=float(sum(s.usd for s in spent)),
            items=[SpendOut.model_validate(s) for s in spent],
        )

    @router.get(
        "/policy",
        responses=problems(),
        summary="What may be asked",
        dependencies=[Depends(require_actor)],
    )
    def policy() -> PolicyOut:
        return PolicyOut.model_validate(IN_FORCE)

    return router
