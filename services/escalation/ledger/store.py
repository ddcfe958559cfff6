"""Tables and queries of the ledger. The caller controls the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.escalation.ledger.domain import Call, Caps, State, Stop
from shared.messaging.tables import Number, Time
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_new

_A_CALL = "a call has an id of our own, and its row says whose it is"
_SUMS = "whether sums and ledger agree"

metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("call_id", String(64), unique=True),
    Column("tenant", String(64), nullable=False),
    Column("escalation_id", String(80), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("micro_usd", BigInteger, nullable=False),
    Column("reserved_micro_usd", BigInteger, nullable=False),
    Column("price_as_of", String(10), nullable=False),
    Column("content", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("time", Time, nullable=False),
    Column("until", Time),
    Column("asked", Time),
    Column("tokens", BigInteger),
    Index("ledger_pace", "provider", "asked"),
    Index("ledger_provider", "tenant", "provider"),
    Index("ledger_open", "state", "until"),
    Index("ledger_content", "tenant", "content", "state"),
    Index("ledger_escalation", "tenant", "escalation_id"),
    Index("ledger_day", "tenant", "day"),
)
"""All calls. `micro_usd` is the bill, or the worst case before it. `asked` and `tokens` count for
the rate limit of the provider."""

spending = Table(
    "spending",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("period", String(10), primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
)
"""The sums of the ledger by day (2026-01-31) and month (2026-01), to compare with budgets."""

stopped = Table(
    "stopped",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("since", Time, nullable=False),
    Column("call_id", String(64), nullable=False),
    Column("reason", Text, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("content", String(64), nullable=False),
    Column("escalation_id", String(80), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("reply", JSON, nullable=False),
    Column("good", Boolean, nullable=False),
    Index("exchanges_content", "tenant", "content"),
    Index("exchanges_document", "tenant", "document_id"),
)
"""The answers, until their document is deleted."""


def take(session: Session, tenant: str, day: str, amount: int, caps: Caps) -> str | None:
    """Add to the sums of a day and its month, unless one would exceed its cap.

    Both rows stay locked until the transaction ends, the month first.

    Returns:
        The period whose cap is exceeded (then roll back), or None.
    """
    for period, cap in ((day[:7], caps.month), (day, caps.day)):
        insert_new(session, spending, tenant=tenant, period=period, micro_usd=0)
        added = session.execute(
            update(spending)
            .where(
                spending.c.tenant == tenant,
                spending.c.period == period,
                spending.c.micro_usd + amount <= cap,
            )
            .values(micro_usd=spending.c.micro_usd + amount)
        )
        if added.rowcount != 1:  # type: ignore[attr-defined]
            return period
    return None


def correct(session: Session, tenant: str, day: str, difference: int) -> None:
    """Correct the sums of a day and its month, even above the cap."""
    if difference:
        for period in (day[:7], day):
            session.execute(
                update(spending)
                .where(spending.c.tenant == tenant, spending.c.period == period)
                .values(micro_usd=spending.c.micro_usd + difference)
            )


def add(session: Session, call: Call, now: datetime) -> None:
    """Store a reservation."""
    session.execute(
        insert(ledger).values(
            call_id=call.id,
            tenant=call.tenant,
            escalation_id=call.escalation_id,
            document_id=call.document_id,
            kind=call.kind,
            provider=call.provider,
            model=call.model,
            state="reserved",
            tokens_in=0,
            tokens_out=0,
            micro_usd=call.worst,
            reserved_micro_usd=call.worst,
            price_as_of=call.price_as_of,
            content=call.content,
            day=call.day,
            time=call.time,
            until=call.until,
            asked=now,
            tokens=call.tokens,
        )
    )


def locked(session: Session, call_id: str, *, sums: bool = False) -> Any:
    """Return and lock the row of a call, if it exists; `sums` locks its sums first."""
    query = across_tenants(select(ledger).where(ledger.c.call_id == call_id), _A_CALL)
    if sums and (row := session.execute(query).one_or_none()):
        for period in (row.day[:7], row.day):
            this = {"tenant": row.tenant, "period": period}
            session.execute(select(spending).filter_by(**this).with_for_update())
    locking = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(locking).one_or_none()


def change(
    session: Session, row: Any, state: State, micro_usd: int, tokens: tuple[int, int]
) -> None:
    """Change the state of a call."""
    took = {} if state == "assumed" else {"tokens": sum(tokens)}
    values = {"tokens_in": tokens[0], "tokens_out": tokens[1], **took}
    session.execute(
        update(ledger)
        .where(ledger.c.tenant == row.tenant, ledger.c.call_id == row.call_id)
        .values(state=state, micro_usd=micro_usd, **values)
    )


def asked_since(session: Session, provider: str, since: datetime) -> list[tuple[datetime, int]]:
    """Return time and tokens of the calls to a provider since a time, oldest first."""
    query = (
        select(ledger.c.asked, ledger.c.tokens)
        .where(ledger.c.provider == provider, ledger.c.asked > since)
        .order_by(ledger.c.asked)
    )
    rows = session.execute(across_tenants(query, "the rate limit of a provider covers all tenants"))
    return [(row.asked, int(row.tokens or 0)) for row in rows]


def calls_of(session: Session, tenant: str, escalation_id: str) -> int:
    """Count the calls of an escalation, except released ones."""
    return int(
        session.execute(
            select(func.count()).where(
                ledger.c.tenant == tenant,
                ledger.c.escalation_id == escalation_id,
                ledger.c.state != "released",
            )
        ).scalar_one()
    )


def open_calls(session: Session, tenant: str, content: str) -> Sequence[Any]:
    """Return the running calls with the same question."""
    return session.execute(
        select(ledger.c.call_id, ledger.c.escalation_id, ledger.c.until).where(
            ledger.c.tenant == tenant, ledger.c.content == content, ledger.c.state == "reserved"
        )
    ).all()


def overdue(session: Session, now: datetime, limit: int) -> list[str]:
    """Return the timed-out reservations of all tenants."""
    query = (
        select(ledger.c.call_id)
        .where(ledger.c.state == "reserved", ledger.c.until < now)
        .order_by(ledger.c.until)
        .limit(limit)
    )
    return list(session.execute(across_tenants(query, "calls of crashed processes")).scalars())


def stop(session: Session, provider: str, since: datetime, call_id: str, reason: str) -> bool:
    """Stop a provider. Returns whether it was running."""
    return insert_new(
        session, stopped, provider=provider, since=since, call_id=call_id, reason=reason
    )


def stops(session: Session) -> list[Stop]:
    """Return the stopped providers."""
    rows = session.execute(select(stopped).order_by(stopped.c.provider))
    return [Stop(row.provider, row.since, row.reason, row.call_id) for row in rows]


def resume(session: Session, provider: str) -> bool:
    """Resume a provider. Returns whether it was stopped."""
    gone = session.execute(delete(stopped).where(stopped.c.provider == provider))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def remember(session: Session, row: Any, reply: dict[str, Any]) -> None:
    """Store the answer to a call, so that the same question need not be paid again."""
    session.execute(
        insert(exchanges).values(
            call_id=row.call_id,
            tenant=row.tenant,
            content=row.content,
            escalation_id=row.escalation_id,
            document_id=row.document_id,
            reply=reply,
            good=False,
        )
    )


def recall(session: Session, tenant: str, content: str, escalation_id: str) -> Any:
    """Return a verified answer to the same question, or any of this escalation."""
    return session.execute(
        select(exchanges)
        .where(
            exchanges.c.tenant == tenant,
            exchanges.c.content == content,
            or_(exchanges.c.good, exchanges.c.escalation_id == escalation_id),
        )
        .order_by(exchanges.c.good.desc(), exchanges.c.call_id)
        .limit(1)
    ).one_or_none()


def mark_verified(session: Session, tenant: str, call_id: str) -> None:
    """Mark an answer as verified, so that other escalations can use it."""
    session.execute(
        update(exchanges)
        .where(exchanges.c.tenant == tenant, exchanges.c.call_id == call_id)
        .values(good=True)
    )


def forget(session: Session, tenant: str, document_id: str) -> None:
    """Delete the answers about a document. Their costs stay."""
    session.execute(
        delete(exchanges).where(
            exchanges.c.tenant == tenant, exchanges.c.document_id == document_id
        )
    )


def sums(session: Session, tenant: str, day: str) -> tuple[int, int]:
    """Return the spending of a day and its month."""
    rows = session.execute(
        select(spending.c.period, spending.c.micro_usd).where(
            spending.c.tenant == tenant, spending.c.period.in_((day, day[:7]))
        )
    )
    found = {row.period: int(row.micro_usd) for row in rows}
    return found.get(day, 0), found.get(day[:7], 0)


def disagreements(session: Session) -> list[str]:
    """Return differences between the sums and the ledger."""
    month = func.substr(ledger.c.day, 1, 7)
    counted: dict[tuple[str, str], int] = {}
    for period in (ledger.c.day, month):
        query = (
            select(ledger.c.tenant, period, func.sum(ledger.c.micro_usd))
            .where(ledger.c.day != "")
            .group_by(ledger.c.tenant, period)
        )
        rows = session.execute(across_tenants(query, _SUMS))
        counted.update({(tenant, name): int(total) for tenant, name, total in rows})
    rows = session.execute(across_tenants(select(spending), _SUMS))
    kept = {(row.tenant, row.period): int(row.micro_usd) for row in rows}
    return [
        f"{'/'.join(key)}: {kept.get(key, 0)}, but {counted.get(key, 0)} in the ledger"
        for key in sorted({*counted, *kept})
        if counted.get(key, 0) != kept.get(key, 0)
    ]
