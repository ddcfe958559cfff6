"""The route of costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.asking import Door
from services.escalation.costs import (
    QUOTED,
    Group,
    Rates,
    Readings,
    Work,
    joined,
    payback,
)
from services.escalation.domain import Spend
from services.escalation.ledger.store import stops, sums
from services.escalation.providers import is_stand_in
from services.escalation.store import By, Escalations
from shared.artefacts import Training
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems


@dataclass(frozen=True)
class Hours:
    """What an hour costs, and how long trainings took.

    Args:
        machine: US$ an hour of the machine that reads.
        training: US$ an hour of the one that trained.
        trained: what the trainings of an adapter's version took; None if not known.
    """

    machine: Decimal
    training: Decimal
    trained: Callable[[str, str], Training | None]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SpendOut(_Answer):
    """What one provider was paid."""

    provider: str
    calls: int
    usd: float
    uncertain_usd: float = Field(description="of it the worst case of calls that may be billed")
    reserved_usd: float = Field(description="of it the worst case of calls in hand")
    tokens_in: int
    tokens_out: int


class GroupOut(_Answer):
    """What was paid and what was read, by another key."""

    key: str
    calls: int
    usd: float = Field(description="paid to providers")
    uncertain_usd: float
    reserved_usd: float
    tokens_in: int
    tokens_out: int
    documents: int = Field(description="that specialists read")
    seconds: float = Field(description="that they took")
    tokens_read: int = Field(description="as specialists count them")
    tokens_quoted: int = Field(description="of what they found, in words")
    machine_usd: float = Field(description="what the machine cost for it")
    frontier_usd: float = Field(
        description="what it would have cost at the least if a frontier model had read all of it"
    )


class BudgetOut(BaseModel):
    """What counts as spent in a period, and the most that may."""

    period: str = Field(description="a day, 2026-01-31, or a month, 2026-01, in UTC")
    usd: float
    most_usd: float


class StopOut(_Answer):
    """A provider of the tenant's that billed more than was reserved; an operator lets it go on."""

    provider: str
    since: datetime
    reason: str


class WorkOut(BaseModel):
    """What specialists read on this machine, and what that costs at the price of its hour."""

    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    usd: float
    tokens_per_second: float | None = Field(description="as measured; null before anything is read")
    usd_per_million: float | None = Field(description="for a million tokens that are read")


class KindOut(WorkOut):
    """The same of the documents of one kind: how fast they are read differs by far."""

    kind: str = Field(description="`contract` or `report`")


class SpecialistsOut(WorkOut):
    """All that specialists read on this machine."""

    hour_usd: float = Field(description="of the machine: `SMALLPRINT_ESCALATION_MACHINE_HOUR`")
    kinds: list[KindOut] = Field(description="each kind that was read; the rest is their sum")


class FrontierOut(BaseModel):
    """What it would have cost at the least if a frontier model had read everything: the text once,
    and the words of what was found, by its list of prices.
    """

    model: str
    input_usd: float = Field(description="for a million tokens")
    output_usd: float
    as_of: str = Field(description="day of the price, 2026-01-31")
    read_usd: float = Field(description="for the tokens that were read")
    quoted_usd: float = Field(description="for those that it would have written")
    usd: float


class TrainingOut(_Answer):
    """When the training of a specialist has paid for itself."""

    adapter: str
    version: str
    documents: int = Field(description="that it has read here")
    hours: float | None = Field(
        description="of its trainings as measured, those of folds where their runs are kept; what "
        "else was learned for it (rankings, calibrations, the base) is not counted; null: not known"
    )
    machine: str | None = Field(description="that they ran on; null: not known")
    hour_usd: float = Field(description="of that one: `SMALLPRINT_ESCALATION_TRAINING_HOUR`")
    usd: float | None
    paid_each_usd: float = Field(
        description="for a document, to frontier models; if several specialists read it, in parts"
    )
    saved_each_usd: float = Field(
        description="for a document: what a frontier model would cost, less the machine and "
        "`paid_each_usd`"
    )
    after_documents: int | None = Field(
        description="documents after which it is paid; null if that can't be said, or never"
    )


class QuotedOut(_Answer):
    """Figures of the article that this began from, as they were quoted then: nobody here measured
    them, and its two pairs do not follow from each other. US$ for a million tokens that are
    written, and for a day of so many tokens.
    """

    as_of: date
    frontier_million: float
    small_million: tuple[float, float]
    tokens_a_day: int
    frontier_day: float
    small_day: tuple[float, float]


class CostsOut(BaseModel):
    """What was spent, from the ledger of every call to a provider, and what specialists cost."""

    calls: int
    usd: float = Field(description="paid to providers")
    stand_in_usd: float = Field(
        description="of it what stand-ins, programs for tests, play: nobody was paid that"
    )
    items: list[SpendOut]
    groups: list[GroupOut] = Field(description="by the key that was asked for; days newest first")
    budgets: list[BudgetOut] = Field(description="of this day and this month")
    stopped: list[StopOut]
    specialists: SpecialistsOut
    frontier: FrontierOut
    training: list[TrainingOut]
    quoted: QuotedOut
    next: str | None = None


def routes(store: Store, door: Door, hours: Hours) -> APIRouter:
    """What escalation answers about money."""
    router = APIRouter(prefix="/v1", tags=["escalation"])

    @router.get("/costs", responses=problems(), summary="What was spent")
    def costs(
        actor: CurrentActor,
        by: Annotated[By, Query(description="key of `groups`")] = "day",
        model: Annotated[
            str | None,
            Query(
                max_length=128,
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
                description="whose price says what a frontier model would have cost; by default "
                "the first that the tenant asks and that is no stand-in, else one of US$ 25 for a "
                "million tokens out",
            ),
        ] = None,
    ) -> CostsOut:
        policy = door.policies.of(actor.tenant)
        rates = Rates.of(hours.machine, hours.training, policy, model)
        day = door.clock().strftime("%Y-%m-%d")
        with store.read() as session:
            kept, readings = Escalations(session, actor.tenant), Readings(session, actor.tenant)
            spent, groups = (
                kept.spent(),
                joined(kept.spent(by), readings.by(by), newest=by == "day"),
            )
            today, month = sums(session, actor.tenant, day)
            stopped = [stop for stop in stops(session) if policy.names(stop.provider)]
            worked, kinds = readings.all(), sorted(readings.by("kind"), key=lambda one: one.key)
            versions, paid = readings.by_version(), readings.paid()
        budgets = [
            (day, today, policy.day_micro_usd),
            (day[:7], month, policy.month_micro_usd),
        ]
        return CostsOut(
            calls=sum(s.calls for s in spent),
            usd=float(sum(s.usd for s in spent)),
            stand_in_usd=float(sum(s.usd for s in spent if is_stand_in(s.provider))),
            items=[SpendOut.model_validate(s) for s in spent],
            groups=[_group(group, rates) for group in groups],
            budgets=[
                BudgetOut(period=period, usd=used / 1e6, most_usd=most / 1e6)
                for period, used, most in budgets
            ],
            stopped=[StopOut.model_validate(s) for s in stopped],
            specialists=_specialists(worked, kinds, rates),
            frontier=_frontier(worked, rates),
            training=_training(versions, rates, hours, paid),
            quoted=QuotedOut.model_validate(QUOTED),
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


def _specialists(work: Work, kinds: Sequence[Work], rates: Rates) -> SpecialistsOut:
    return SpecialistsOut(
        **_worked(work, rates),
        hour_usd=float(rates.hour),
        kinds=[KindOut(kind=one.key, **_worked(one, rates)) for one in kinds],
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


def _training(
    versions: list[tuple[str, str, Work]],
    rates: Rates,
    hours: Hours,
    paid: Mapping[tuple[str, str], Decimal],
) -> list[TrainingOut]:
    trained = {(name, version): hours.trained(name, version) for name, version, _ in versions}
    spent = {key: one.seconds / 3600 if one else None for key, one in trained.items()}
    machines = {key: one.machine for key, one in trained.items() if one and one.machine}
    lines: list[dict[str, Any]] = [vars(one) for one in payback(versions, spent, rates, paid)]
    return [
        TrainingOut(
            **{name: line[name] for name in ("adapter", "version", "documents", "hours", "usd")},
            machine=machines.get((line["adapter"], line["version"])),
            hour_usd=float(rates.training_hour),
            paid_each_usd=line["paid_each"],
            saved_each_usd=line["saved_each"],
            after_documents=line["after"],
        )
        for line in lines
    ]
