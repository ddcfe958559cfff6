"""The route of costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.costs import Group, Rates, Readings, Work, joined, payback
from services.escalation.domain import Spend
from services.escalation.gateway import Gateway
from services.escalation.ledger.store import stops, sums
from services.escalation.providers import is_stand_in
from services.escalation.settings import Settings
from services.escalation.store import By, Escalations
from shared.artefacts.loader import training_of
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SpendOut(_Answer):
    """The spending on one provider."""

    provider: str
    calls: int
    usd: float
    uncertain_usd: float = Field(description="worst case of calls that may be billed")
    reserved_usd: float = Field(description="worst case of running calls")
    tokens_in: int
    tokens_out: int


class GroupOut(_Answer):
    """Spending and work under one key."""

    key: str
    calls: int
    usd: float = Field(description="paid to providers")
    uncertain_usd: float
    reserved_usd: float
    tokens_in: int
    tokens_out: int
    documents: int = Field(description="documents read by specialists")
    seconds: float = Field(description="time of the specialists")
    tokens_read: int = Field(description="tokens read, counted by specialists")
    tokens_quoted: int = Field(description="tokens of the results")
    machine_usd: float = Field(description="cost of the machine")
    frontier_usd: float = Field(description="lower bound of the cost at a frontier model")


class BudgetOut(BaseModel):
    """The spending and the budget of a period."""

    period: str = Field(description="a day, 2026-01-31, or a month, 2026-01, in UTC")
    usd: float
    max_usd: float


class StopOut(_Answer):
    """A provider stopped after a bill above its reservation. An operator resumes it."""

    provider: str
    since: datetime
    reason: str


class WorkOut(BaseModel):
    """The work of specialists and its cost."""

    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    usd: float
    tokens_per_second: float | None = Field(description="measured speed; null without work")
    usd_per_million: float | None = Field(description="US$ for a million tokens read")


class KindOut(WorkOut):
    """The work on one kind of document."""

    kind: str = Field(description="`contract` or `report`")


class SpecialistsOut(WorkOut):
    """The work on all documents."""

    hour_usd: float = Field(description="`SMALLPRINT_ESCALATION_MACHINE_HOUR`")
    kinds: list[KindOut] = Field(description="the work by kind")


class FrontierOut(BaseModel):
    """A lower bound of the cost at a frontier model: the text once, and the results once."""

    model: str
    input_usd: float = Field(description="US$ for a million tokens")
    output_usd: float
    as_of: str = Field(description="date of the price, 2026-01-31")
    read_usd: float = Field(description="for the tokens read")
    quoted_usd: float = Field(description="for the tokens of the results")
    usd: float


class TrainingOut(_Answer):
    """The payback of the training of a specialist."""

    adapter: str
    version: str
    documents: int = Field(description="documents read by it")
    hours: float | None = Field(
        description="measured hours of its trainings, without rankings, calibrations and the base; "
        "null: unknown"
    )
    machine: str | None = Field(description="the training machine; null: unknown")
    hour_usd: float = Field(description="`SMALLPRINT_ESCALATION_TRAINING_HOUR`")
    usd: float | None
    paid_per_document_usd: float = Field(
        description="paid to frontier models for a document, shared among its specialists"
    )
    saved_per_document_usd: float = Field(
        description="saving for a document: cost at a frontier model, less the machine and "
        "`paid_per_document_usd`"
    )
    after_documents: int | None = Field(
        description="documents until the training is paid back; null: unknown or never"
    )


class QuotedOut(_Answer):
    """Figures quoted from an article, not measured: US$ for a million tokens, and for a day."""

    as_of: date
    frontier_million: float
    small_million: tuple[float, float]
    tokens_a_day: int
    frontier_day: float
    small_day: tuple[float, float]


class CostsOut(BaseModel):
    """The costs of a tenant."""

    calls: int
    usd: float = Field(description="paid to providers")
    stand_in_usd: float = Field(description="part simulated by test stand-ins")
    items: list[SpendOut]
    groups: list[GroupOut] = Field(description="by the requested key; days newest first")
    budgets: list[BudgetOut] = Field(description="of today and this month")
    stopped: list[StopOut]
    specialists: SpecialistsOut
    frontier: FrontierOut
    training: list[TrainingOut]
    quoted: QuotedOut
    next: str | None = None


QUOTED = QuotedOut(
    as_of=date(2026, 11, 26),
    frontier_million=25.0,
    small_million=(0.02, 0.10),
    tokens_a_day=10_000_000,
    frontier_day=250.0,
    small_day=(1.0, 10.0),
)


def routes(store: Store, gateway: Gateway, settings: Settings) -> APIRouter:
    """Return the router of costs."""
    router = APIRouter(prefix="/v1", tags=["escalation"])

    @router.get("/costs", responses=problems(), summary="Costs")
    def costs(
        actor: CurrentActor,
        by: Annotated[By, Query(description="key of `groups`")] = "day",
        model: Annotated[
            str | None,
            Query(
                max_length=128,
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
                description="frontier model for the comparison; default: the first model of the "
                "tenant, or one of US$ 25 for a million tokens out",
            ),
        ] = None,
    ) -> CostsOut:
        """Shows what frontier models and the machines cost, and what a frontier model would have
        cost for the same documents.
        """
        policy = gateway.policies.of(actor.tenant)
        hours = settings.escalation_machine_hour, settings.escalation_training_hour
        rates = Rates.of(*hours, policy, model)
        day = gateway.clock().strftime("%Y-%m-%d")
        with store.read() as session:
            kept, readings = Escalations(session, actor.tenant), Readings(session, actor.tenant)
            spent = kept.spent()
            groups = joined(kept.spent(by), readings.by(by), newest=by == "day")
            today, month = sums(session, actor.tenant, day)
            stopped = [stop for stop in stops(session) if policy.names(stop.provider)]
            worked, kinds = readings.all(), sorted(readings.by("kind"), key=lambda one: one.key)
            trained = partial(training_of, settings.artefacts_folder)
            training = payback(readings.by_version(), trained, rates, readings.paid())
        budgets = [(day, today, policy.day_micro_usd), (day[:7], month, policy.month_micro_usd)]
        return CostsOut(
            calls=sum(s.calls for s in spent),
            usd=float(sum(s.usd for s in spent)),
            stand_in_usd=float(sum(s.usd for s in spent if is_stand_in(s.provider))),
            items=[SpendOut.model_validate(s) for s in spent],
            groups=[_group(group, rates) for group in groups],
            budgets=[
                BudgetOut(period=period, usd=used / 1e6, max_usd=most / 1e6)
                for period, used, most in budgets
            ],
            stopped=[StopOut.model_validate(s) for s in stopped],
            specialists=SpecialistsOut(
                **_worked(worked, rates),
                hour_usd=float(rates.hour),
                kinds=[KindOut(kind=one.key, **_worked(one, rates)) for one in kinds],
            ),
            frontier=_frontier(worked, rates),
            training=[TrainingOut.model_validate(line) for line in training],
            quoted=QUOTED,
        )

    return router


def _group(group: Group, rates: Rates) -> GroupOut:
    nothing = Spend(group.key, 0, Decimal(0), Decimal(0), Decimal(0), 0, 0)
    spend, work = group.spend or nothing, group.work
    return GroupOut(
        **{**vars(spend), "usd": float(spend.usd)},
        documents=work.documents,
        seconds=work.seconds,
        tokens_read=work.tokens,
        tokens_quoted=work.quoted,
        machine_usd=rates.machine(work),
        frontier_usd=rates.frontier(work),
    )


def _worked(work: Work, rates: Rates) -> dict[str, Any]:
    return {
        "documents": work.documents,
        "seconds": work.seconds,
        "tokens_read": work.tokens,
        "tokens_quoted": work.quoted,
        "usd": rates.machine(work),
        "tokens_per_second": work.tokens / work.seconds if work.seconds else None,
        "usd_per_million": rates.million(work),
    }


def _frontier(work: Work, rates: Rates) -> FrontierOut:
    price = rates.price
    read = rates.frontier(replace(work, quoted=0))
    quoted = rates.frontier(Work("", quoted=work.quoted))
    return FrontierOut(
        model=rates.model,
        input_usd=float(price.input),
        output_usd=float(price.output),
        as_of=price.as_of,
        read_usd=read,
        quoted_usd=quoted,
        usd=read + quoted,
    )
