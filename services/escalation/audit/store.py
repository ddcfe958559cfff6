"""Queries over all tenants, which no request of a tenant's may make."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from services.escalation.costs import Work
from services.escalation.costs.store import of_all_tenants
from services.escalation.ledger.store import ledger
from services.escalation.store import escalations
from shared.storage.tenants import across_tenants

_AUDIT = "an operator looks at all calls"


@dataclass(frozen=True)
class Moment:
    """What the ledger says at one moment. Money is in millionths of a US$."""

    counted: int
    """What counts as spent, without what was billed beyond its reservation."""
    excess: int
    """What was billed beyond reservations."""
    calls: Counter[str]
    """Calls by state."""
    tenants: Counter[str]
    """Of `counted`, what is each tenant's."""
    finished: int
    """Escalations that nobody works on any more."""


@dataclass(frozen=True)
class Booked:
    """One call as the ledger has it. Money is in millionths of a US$."""

    call_id: str
    provider: str
    content: str
    """Hash of what was asked."""
    state: str
    tokens: tuple[int, int]
    """In and out."""
    micro_usd: int
    reserved: int
    """Its worst case, in the same unit."""
    time: datetime
    """When it was about to be reserved."""


def booked(session: Session) -> list[Booked]:
    """Every call, in the order in which they were reserved."""
    rows = session.execute(across_tenants(select(ledger).order_by(ledger.c.number), _AUDIT))
    return [
        Booked(
            row.call_id,
            row.provider,
            row.content,
            row.state,
            (int(row.tokens_in), int(row.tokens_out)),
            int(row.micro_usd),
            int(row.reserved_micro_usd),
            row.time,
        )
        for row in rows
    ]


def moment(session: Session) -> Moment:
    """Read the ledger and the state of the requests in one transaction."""
    over = ledger.c.micro_usd - ledger.c.reserved_micro_usd
    excess = func.coalesce(func.sum(case((over > 0, over), else_=0)), 0)
    key = (ledger.c.state, ledger.c.tenant)
    query = select(
        *key,
        func.count().label("calls"),
        func.sum(ledger.c.micro_usd).label("micro_usd"),
        excess.label("excess"),
    ).group_by(*key)
    rows = session.execute(across_tenants(query, _AUDIT)).all()
    calls, counted = Counter[str](), Counter[str]()
    for row in rows:
        calls[row.state] += int(row.calls)
        counted[row.tenant] += int(row.micro_usd) - int(row.excess)
    ended = select(func.count()).select_from(escalations).where(escalations.c.state != "waiting")
    finished = session.execute(across_tenants(ended, _AUDIT)).scalar_one()
    return Moment(
        counted=counted.total(),
        excess=sum(int(row.excess) for row in rows),
        calls=calls,
        tenants=counted,
        finished=int(finished),
    )


def outcomes(session: Session) -> Counter[tuple[str, str]]:
    """How many requests ended in which state, with which reason."""
    key = escalations.c.state, escalations.c.reason
    query = select(*key, func.count().label("number")).group_by(*key)
    rows = session.execute(across_tenants(query, _AUDIT))
    return Counter({(row.state, row.reason): int(row.number) for row in rows})


@dataclass(frozen=True)
class Tenant:
    """What one tenant cost: calls to providers in millionths of a US$, and work on this machine."""

    tenant: str
    calls: int
    micro_usd: int
    work: Work


def tenants(session: Session) -> list[Tenant]:
    """Every tenant that has called a provider or had something read, by name."""
    query = (
        select(
            ledger.c.tenant,
            func.count().label("calls"),
            func.sum(ledger.c.micro_usd).label("micro_usd"),
        )
        .where(ledger.c.state != "released")
        .group_by(ledger.c.tenant)
    )
    rows = session.execute(across_tenants(query, _AUDIT))
    paid = {row.tenant: (row.calls, int(row.micro_usd)) for row in rows}
    worked = {work.key: work for work in of_all_tenants(session)}
    return [
        Tenant(name, *paid.get(name, (0, 0)), worked.get(name, Work(name)))
        for name in sorted(paid.keys() | worked.keys())
    ]
