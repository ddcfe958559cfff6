"""Tables and queries of the ledger; transactions are the caller's. Every query of a tenant's names
it; providers are everybody's.
"""

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
from shared.storage.locks import lock
from shared.storage.messages import Number, Time
from shared.storage.tenants import across_tenants
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
    Column("batch", String(64)),
    Column("asked", Time),
    Column("tokens", BigInteger),
    Index("ledger_pace", "provider", "asked"),
    Index("ledger_provider", "tenant", "provider"),
    Index("ledger_open", "state", "until"),
    Index("ledger_content", "tenant", "content", "state"),
    Index("ledger_escalation", "tenant", "escalation_id"),
    Index("ledger_day", "tenant", "day"),
    Index("ledger_batch", "batch"),
)
"""Every call. `micro_usd` is what it counts with: the worst case, until more is known. `asked` and
`tokens` are what it takes of its provider's pace, unless it goes with a batch."""

spending = Table(
    "spending",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("period", String(10), primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
)
"""The sums of the ledger by day (2026-01-31) and month (2026-01), which caps are held against."""

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
"""What was answered, in words, until its document is deleted."""


def take(session: Session, tenant: str, day: str, amount: int, caps: Caps) -> str | None:
    """Add to the sums of a day and its month, unless one would exceed its cap.

    Both rows are locked until the transaction ends, the month before the day, always.

    Returns:
        The period whose cap does not allow it, after which the transaction is to be undone; None if
        it is done.
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
    """Change the sums of a day and its month by what is known better now, whatever the cap."""
    if difference:
        for period in (day[:7], day):
            session.execute(
                update(spending)
                .where(spending.c.tenant == tenant, spending.c.period == period)
                .values(micro_usd=spending.c.micro_usd + difference)
            )


def add(session: Session, call: Call, now: datetime) -> None:
    """Write down a reservation, for a call that is made now unless it goes with a batch."""
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
            batch=call.batch,
            asked=None if call.batch else now,
            tokens=call.tokens,
        )
    )


def locked(session: Session, call_id: str, *, sums: bool = False) -> Any:
    """The row of a call, which nobody else changes until the transaction ends; None if unknown.

    Args:
        sums: lock those that it counts in as well, first, as everybody does.
    """
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
    """Write down what became of a call, by its row in the ledger."""
    took = {} if state == "assumed" else {"tokens": sum(tokens)}
    values = {"tokens_in": tokens[0], "tokens_out": tokens[1], **took}
    session.execute(
        update(ledger)
        .where(ledger.c.tenant == row.tenant, ledger.c.call_id == row.call_id)
        .values(state=state, micro_usd=micro_usd, **values)
    )


def keep_pace(session: Session, provider: str) -> None:
    """Let one transaction at a time count what is asked of a provider."""
    lock(session, f"pace of {provider}")


def asked_since(session: Session, provider: str, since: datetime) -> list[tuple[datetime, int]]:
    """When a provider was asked after a moment, by any tenant, and tokens at the most, the earliest
    first. What goes with a batch has limits of its own.
    """
    query = (
        select(ledger.c.asked, ledger.c.tokens)
        .where(ledger.c.provider == provider, ledger.c.asked > since)
        .order_by(ledger.c.asked)
    )
    rows = session.execute(across_tenants(query, "a provider's pace is that of all together"))
    return [(row.asked, int(row.tokens or 0)) for row in rows]


def calls_of(session: Session, tenant: str, escalation_id: str) -> int:
    """How many calls were made for an escalation that may have cost something."""
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
    """The calls in hand with the same content."""
    return session.execute(
        select(ledger.c.call_id, ledger.c.escalation_id, ledger.c.until, ledger.c.batch).where(
            ledger.c.tenant == tenant,
            ledger.c.content == content,
            ledger.c.state == "reserved",
        )
    ).all()


def calls_of_batch(session: Session, tenant: str, batch: str) -> dict[str, State]:
    """The calls that are handed in with a batch, and how each stands."""
    these = ledger.c.tenant == tenant, ledger.c.batch == batch
    rows = session.execute(select(ledger.c.call_id, ledger.c.state).where(*these))
    return {row.call_id: row.state for row in rows}


def documents_of_batch(session: Session, tenant: str, batch: str) -> list[str]:
    """The documents that a batch asks about."""
    these = ledger.c.tenant == tenant, ledger.c.batch == batch
    query = select(ledger.c.document_id).where(*these).distinct()
    return list(session.execute(query).scalars())


def batch_of(session: Session, tenant: str, content: str) -> str | None:
    """The batch in which the same content is on its way; None if it is in none."""
    return session.execute(
        select(ledger.c.batch)
        .where(
            ledger.c.tenant == tenant,
            ledger.c.content == content,
            ledger.c.state == "reserved",
            ledger.c.batch.is_not(None),
        )
        .limit(1)
    ).scalar_one_or_none()


def batches_of(session: Session, tenant: str, content: str) -> Sequence[str]:
    """All batches that the same content was ever in."""
    return (
        session.execute(
            select(ledger.c.batch)
            .where(
                ledger.c.tenant == tenant,
                ledger.c.content == content,
                ledger.c.batch.is_not(None),
            )
            .distinct()
        )
        .scalars()
        .all()
    )


def stay_behind(session: Session, tenant: str, call_id: str) -> None:
    """A call that was released was in no batch, for the one that it was reserved for left without
    it.
    """
    session.execute(
        update(ledger)
        .where(
            ledger.c.tenant == tenant,
            ledger.c.call_id == call_id,
            ledger.c.state == "released",
        )
        .values(batch=None)
    )


def overdue(session: Session, now: datetime, limit: int) -> list[str]:
    """The reservations whose time is over, of all tenants; not those of a batch, which says itself
    what was not billed, however late it is asked (and see `stranded` of batches).
    """
    query = (
        select(ledger.c.call_id)
        .where(ledger.c.state == "reserved", ledger.c.until < now, ledger.c.batch.is_(None))
        .order_by(ledger.c.until)
        .limit(limit)
    )
    return list(session.execute(across_tenants(query, "calls whose process died")).scalars())


def stop(session: Session, provider: str, since: datetime, call_id: str, reason: str) -> bool:
    """Stop a provider; returns whether it was not stopped already."""
    return insert_new(
        session, stopped, provider=provider, since=since, call_id=call_id, reason=reason
    )


def stops(session: Session) -> list[Stop]:
    """The providers that are stopped."""
    rows = session.execute(select(stopped).order_by(stopped.c.provider))
    return [Stop(row.provider, row.since, row.reason, row.call_id) for row in rows]


def resume(session: Session, provider: str) -> bool:
    """Let a provider go on; returns whether it was stopped."""
    gone = session.execute(delete(stopped).where(stopped.c.provider == provider))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def remember(session: Session, row: Any, reply: dict[str, Any]) -> None:
    """Keep what was answered to a call, by its row in the ledger."""
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
    """An answer to the same content: a good one, or any that this escalation had; or None."""
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


def praise(session: Session, tenant: str, call_id: str) -> None:
    """An answer proved to be good: others who ask the same may have it."""
    session.execute(
        update(exchanges)
        .where(exchanges.c.tenant == tenant, exchanges.c.call_id == call_id)
        .values(good=True)
    )


def forget(session: Session, tenant: str, document_id: str) -> None:
    """Remove the words that were answered about a document; what they cost stays."""
    session.execute(
        delete(exchanges).where(
            exchanges.c.tenant == tenant, exchanges.c.document_id == document_id
        )
    )


def sums(session: Session, tenant: str, day: str) -> tuple[int, int]:
    """What counts as spent on a day, and in its month."""
    rows = session.execute(
        select(spending.c.period, spending.c.micro_usd).where(
            spending.c.tenant == tenant, spending.c.period.in_((day, day[:7]))
        )
    )
    found = {row.period: int(row.micro_usd) for row in rows}
    return found.get(day, 0), found.get(day[:7], 0)


def disagreements(session: Session) -> list[str]:
    """Where the sums are not those of the ledger: none, unless somebody else wrote there."""
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
