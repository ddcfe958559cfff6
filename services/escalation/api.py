"""The routes of escalation: what was asked, and what may be asked; what it cost is in `costs`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.asking import Door
from services.escalation.rules import Held, PolicyHistory
from services.escalation.store import Escalations
from shared.events import Stage
from shared.events.questions import Said, Subject
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

Cursor = Annotated[str | None, Query(max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class EscalationOut(_Answer):
    """A result that a specialist was unsure of."""

    id: str
    document_id: str
    stage: Stage
    result_id: str
    state: Literal["unanswered"]
    reason: str = Field(description="why there is no answer")
    requested: datetime


class EscalationsOut(BaseModel):
    """A page of requests, newest first."""

    items: list[EscalationOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class QuoteOut(_Answer):
    """Words of the document; offsets in code points, `end` exclusive."""

    text: str
    start: int
    end: int


class CellOut(_Answer):
    """A cell of the report, with the amount that it has there; row and column 0-based."""

    statement: str
    row: int
    column: int
    label: str
    value: float


class TermOut(CellOut):
    """A cell that is added (1) or subtracted (-1)."""

    sign: Literal[1, -1]


class ProposalOut(_Answer):
    """What a frontier model answered; its quotes are the document's own words, its cells the
    report's, and its sum was made again. A person decides.
    """

    id: str
    document_id: str
    stage: Stage
    result_id: str
    requested: datetime
    subject: Subject = Field("clause", description="what was asked about")
    category: str
    verdict: Said
    quotes: list[QuoteOut]
    cell: CellOut | None = Field(
        None, description="of a finding: the cell that is wrong, or is presented otherwise"
    )
    expected: float | None = Field(None, description="what it should be, whole units")
    arithmetic: list[TermOut] = Field(
        default_factory=list, description="cells that make that up, within the rounding of the page"
    )
    total: float | None = Field(None, description="their sum, as it was made here")
    why: str = Field(description="the model's own words, which nobody verified")
    provider: str
    model: str
    stand_in: bool = Field(description="a program for tests answered, no model")
    usd: float = Field(description="0 where an earlier answer served")


class ProposalsOut(BaseModel):
    """A page of proposals, newest first."""

    items: list[ProposalOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class HeldPolicyOut(BaseModel):
    """Rules that held from a moment on, until those that stand before it."""

    digest: str = Field(description="first 12 hex digits of the SHA-256 of `rules`")
    label: str = Field(description="what the file called itself: its `version`, or nothing")
    since: datetime
    rules: str = Field(description="what the file said of this tenant, as canonical JSON")

    @classmethod
    def of(cls, held: Held) -> HeldPolicyOut:
        """It, as it is shown."""
        return cls(since=held.since, **vars(held.version))


class PolicyOut(_Answer):
    """What may be sent out, to whom, and for how much."""

    name: str
    leaves_the_house: bool
    providers: list[str]
    budget_usd: float = Field(description="a month")
    summary: str
    day_usd: float
    leaves: list[str] = Field(description="kinds of documents of which words may leave")
    mask: list[str] = Field(description="what is hidden in them")
    digest: str = Field(description="of the rules in force: 12 hex digits, other for other rules")
    label: str = Field(description="what the policy file calls itself: its `version`, or nothing")
    history: list[HeldPolicyOut] | None = Field(
        None,
        description="with `?history=true`: which rules held when, newest first, at most 1,000; "
        "none for a tenant that no file has named",
    )


def routes(store: Store, door: Door) -> APIRouter:
    """What escalation answers."""
    router = APIRouter(prefix="/v1", tags=["escalation"])

    @router.get("/escalations", responses=problems(), summary="What was asked and has no answer")
    def escalations(
        actor: CurrentActor, cursor: Cursor = None, limit: Limit = 100
    ) -> EscalationsOut:
        with store.read() as session:
            found, more = Escalations(session, actor.tenant).newest(
                answered=False, cursor=cursor, limit=limit
            )
        items = [EscalationOut(**{**vars(one), "state": "unanswered"}) for one in found]
        return EscalationsOut(items=items, next=more)

    @router.get(
        "/escalations/proposals", responses=problems(), summary="What frontier models proposed"
    )
    def proposals(actor: CurrentActor, cursor: Cursor = None, limit: Limit = 100) -> ProposalsOut:
        with store.read() as session:
            kept = Escalations(session, actor.tenant)
            found, more = kept.newest(answered=True, cursor=cursor, limit=limit)
            prices = kept.prices_of([one.id for one in found])
        items = [
            ProposalOut(
                **{
                    **(one.proposal.model_dump() if one.proposal else {}),
                    **{name: value for name, value in vars(one).items() if name != "proposal"},
                    "usd": float(prices.get(one.id, 0)),
                }
            )
            for one in found
        ]
        return ProposalsOut(items=items, next=more)

    @router.get("/policy", responses=problems(), summary="What may be asked")
    def policy(
        actor: CurrentActor,
        history: Annotated[bool, Query(description="whether to list what held before")] = False,
    ) -> PolicyOut:
        own, version = door.policies.of(actor.tenant), door.policies.version(actor.tenant)
        held: list[HeldPolicyOut] | None = None
        if history:
            with store.read() as session:
                noted = PolicyHistory(session, actor.tenant).newest()
            held = [HeldPolicyOut.of(one) for one in noted]
        out = any(not provider.inside for provider in own.providers) and bool(own.leaves)
        return PolicyOut(
            name="open" if own.providers else "closed",
            leaves_the_house=out,
            providers=[provider.name for provider in own.providers],
            budget_usd=own.month_micro_usd / 1e6,
            summary=own.summary,
            day_usd=own.day_micro_usd / 1e6,
            leaves=sorted(own.leaves),
            mask=sorted(own.mask),
            digest=version.digest,
            label=version.label,
            history=held,
        )

    return router
