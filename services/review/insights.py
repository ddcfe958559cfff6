"""What waits for people, and what they decided in a period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from statistics import median
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.review import store
from services.review.commands import Clock, utc_now
from services.review.store import DecisionMade
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import Timestamp

PERIOD = timedelta(days=90)
"""The period of a request that names none."""
PAUSE = timedelta(minutes=10)
"""A longer time before a decision was a pause."""


class _Verdicts(BaseModel):
    accept: int = 0
    reject: int = 0
    correct: int = 0


class DayVerdictsOut(_Verdicts):
    """The decisions of a day."""

    day: date = Field(description="in UTC; days without decisions are left out")


class CategoryVerdictsOut(_Verdicts):
    """The decisions about a category."""

    kind: str = Field(description="of the items, such as `clause` or `finding`")
    category: str = Field(description="category of a clause, check of a finding")


class AgeOut(BaseModel):
    """The number of waiting items of an age."""

    from_days: int
    to_days: int | None = Field(description="exclusive; null: no limit")
    count: int


class InsightsOut(BaseModel):
    """What waits now, and what people decided in a period."""

    waiting: int
    ages: list[AgeOut] = Field(description="of the waiting items, since they were found")
    decided: int = Field(description="decisions of the period that were not undone")
    median_seconds: float | None = Field(
        description="median time of a decision, from the same person's decision before; pauses "
        "over 10 minutes and decisions with `bulk` are left out; null without any"
    )
    timed: int = Field(description="decisions whose time was measured")
    days: list[DayVerdictsOut] = Field(description="in order")
    categories: list[CategoryVerdictsOut] = Field(
        description="without additions of people and questions about documents"
    )


def routes(database: Store, clock: Clock = utc_now) -> APIRouter:
    """Return the router for `/v1/insights`."""
    router = APIRouter(prefix="/v1", tags=["decisions"])

    @router.get(
        "/insights", summary="Waiting items, and decisions of a period", responses=problems()
    )
    def insights(
        actor: CurrentActor,
        since: Annotated[
            Timestamp | None, Query(description="RFC 3339; default: 90 days ago")
        ] = None,
        until: Annotated[Timestamp | None, Query(description="RFC 3339, exclusive")] = None,
    ) -> InsightsOut:
        """Counts the waiting items by age, and the decisions of a period by day and category. Also
        tells how long a decision takes.
        """
        now = clock()
        with database.read() as session:
            ages = store.count_ages(session, actor.tenant, now)
            made = store.decisions_between(session, actor.tenant, since or now - PERIOD, until)
        seconds = list(seconds_of(made))
        standing = list(without_undone(made))
        found = [one for one in standing if one.origin == "model" and one.stage != "ingest"]
        return InsightsOut(
            waiting=sum(number for *_, number in ages),
            ages=[AgeOut(from_days=low, to_days=high, count=number) for low, high, number in ages],
            decided=len(standing),
            median_seconds=round(median(seconds), 1) if seconds else None,
            timed=len(seconds),
            days=[
                DayVerdictsOut(day=day, **verdicts)
                for (day,), verdicts in _tally(((one.time.date(),), one) for one in standing)
            ],
            categories=[
                CategoryVerdictsOut(kind=kind, category=category, **verdicts)
                for (kind, category), verdicts in _tally(
                    ((one.kind, one.category), one) for one in found
                )
            ],
        )

    return router


def without_undone(made: Iterable[DecisionMade]) -> Iterable[DecisionMade]:
    """Return the last decision about each item, unless it is an undo."""
    last = {one.item_id: one for one in made}
    return (one for one in last.values() if one.verdict != "undo")


def seconds_of(made: Iterable[DecisionMade]) -> Iterator[float]:
    """Yield the seconds of each decision since the same person's decision before.

    The store does not know when a person began with an item. The pages open the next item after
    each decision. Therefore the first decision after a pause has no time.
    """
    before: dict[str, datetime] = {}
    for one in made:
        began = before.get(one.actor)
        before[one.actor] = one.time
        if began and one.verdict != "undo" and not one.bulk and one.time - began <= PAUSE:
            yield (one.time - began).total_seconds()


def _tally(
    keyed: Iterable[tuple[tuple[Any, ...], DecisionMade]],
) -> Iterator[tuple[tuple[Any, ...], dict[str, int]]]:
    """Yield the number of each verdict by key, in the order of the keys."""
    counts = Counter((*key, one.verdict) for key, one in keyed)
    for key, group in groupby(sorted(counts), key=lambda one: one[:-1]):
        yield key, {verdict: counts[*key, verdict] for *_, verdict in group}
