"""The routes of escalation: questions, answers and rules. `costs` has its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.gateway import Gateway
from services.escalation.policy import PolicyHistory, PolicyVersion
from services.escalation.store import Escalations
from shared.events import Stage
from shared.events.questions import ProposalVerdict, Subject
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems

Cursor = Annotated[str | None, Query(max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class EscalationOut(_Answer):
    """An escalation without an answer."""

    id: str
    document_id: str
    stage: Stage
    result_id: str
    state: Literal["unanswered"]
    reason: str = Field(description="why there is no answer")
    requested: datetime


class EscalationsOut(BaseModel):
    """A page of escalations, newest first."""

    items: list[EscalationOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


class QuoteOut(_Answer):
    """A quote from the document. Offsets count code points, `end` is exclusive."""

    text: str
    start: int
    end: int


class CellOut(_Answer):
    """A cell of the report with its amount; row and column count from 0."""

    statement: str
    row: int
    column: int
    label: str
    value: float


class TermOut(CellOut):
    """A cell that is added (1) or subtracted (-1)."""

    sign: Literal[1, -1]


class ProposalOut(_Answer):
    """A verified answer of a frontier model: quotes, cells and sums are checked."""

    id: str
    document_id: str
    stage: Stage
    result_id: str
    requested: datetime
    subject: Subject = Field("clause", description="subject of the question")
    category: str
    verdict: ProposalVerdict
    quotes: list[QuoteOut]
    cell: CellOut | None = Field(
        None, description="for a finding: the wrong or differently presented cell"
    )
    expected: float | None = Field(None, description="the right amount in whole units")
    arithmetic: list[TermOut] = Field(
        default_factory=list, description="cells that add up to it, within the rounding of the page"
    )
    total: float | None = Field(None, description="their sum, computed by smallprint")
    why: str = Field(description="reason given by the model, not verified")
    provider: str
    model: str
    stand_in: bool = Field(description="whether a test program answered")
    usd: float = Field(description="0 for a reused answer")


class ProposalsOut(BaseModel):
    """A page of proposals, newest first."""

    items: list[ProposalOut]
    next: str | None = Field(description="cursor of the next page; null at the end")


class PolicyVersionOut(BaseModel):
    """A version of the rules, in force until the next one."""

    digest: str = Field(description="first 12 hex digits of the SHA-256 of `rules`")
    label: str = Field(description="`version` of the file, or empty")
    since: datetime
    rules: str = Field(description="the rules of this tenant, as canonical JSON")

    @classmethod
    def of(cls, stored: PolicyVersion) -> PolicyVersionOut:
        """Convert a stored version."""
        return cls(since=stored.since, **vars(stored.version))


class PolicyOut(_Answer):
    """The escalation rules of the tenant."""

    name: str
    sends_text_out: bool = Field(description="whether text may go to an external provider")
    providers: list[str]
    budget_usd: float = Field(description="budget of a month")
    summary: str
    day_usd: float
    external_kinds: list[str] = Field(
        description="kinds of documents whose text may go to external providers"
    )
    mask: list[str] = Field(description="what is masked in the text")
    digest: str = Field(description="first 12 hex digits of the SHA-256 of the rules in force")
    label: str = Field(description="`version` of the policy file, or empty")
    history: list[PolicyVersionOut] | None = Field(
        None,
        description="with `?history=true`: earlier and current rules, newest first, at most 1,000",
    )


def routes(store: Store, gateway: Gateway) -> APIRouter:
    """Return the router of escalation."""
    router = APIRouter(prefix="/v1", tags=["escalation"])

    @router.get("/escalations", responses=problems(), summary="Questions without an answer")
    def escalations(
        actor: CurrentActor, cursor: Cursor = None, limit: Limit = 100
    ) -> EscalationsOut:
        """Lists questions to a frontier model that have no answer yet, or were not asked, with the
        reason.
        """
        with store.read() as session:
            found, more = Escalations(session, actor.tenant).newest(
                answered=False, cursor=cursor, limit=limit
            )
        items = [EscalationOut(**{**vars(one), "state": "unanswered"}) for one in found]
        return EscalationsOut(items=items, next=more)

    @router.get(
        "/escalations/proposals", responses=problems(), summary="Answers of frontier models"
    )
    def proposals(actor: CurrentActor, cursor: Cursor = None, limit: Limit = 100) -> ProposalsOut:
        """Lists answers of frontier models with quotes, reasons and cost. People still decide."""
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

    @router.get("/policy", responses=problems(), summary="The escalation rules")
    def policy(
        actor: CurrentActor,
        history: Annotated[bool, Query(description="whether to list earlier rules")] = False,
    ) -> PolicyOut:
        """Shows which providers may be asked, the budgets, and what is masked. With `history` it
        lists earlier rules, too.
        """
        own, version = gateway.policies.of(actor.tenant), gateway.policies.version(actor.tenant)
        versions: list[PolicyVersionOut] | None = None
        if history:
            with store.read() as session:
                stored = PolicyHistory(session, actor.tenant).newest()
            versions = [PolicyVersionOut.of(one) for one in stored]
        external = any(not provider.inside for provider in own.providers) and bool(
            own.external_kinds
        )
        return PolicyOut(
            name="open" if own.providers else "closed",
            sends_text_out=external,
            providers=[provider.name for provider in own.providers],
            budget_usd=own.month_micro_usd / 1e6,
            summary=own.summary,
            day_usd=own.day_micro_usd / 1e6,
            external_kinds=sorted(own.external_kinds),
            mask=sorted(own.mask),
            digest=version.digest,
            label=version.label,
            history=versions,
        )

    return router
