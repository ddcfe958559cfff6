"""The table of batches; transactions are the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.escalation.batches.domain import OPEN, OVER, Batch
from services.escalation.ledger.store import ledger
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants

_JOB = "one job looks at the batches of all"

metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("remote", String(128)),
    Column("requests", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made", Time, nullable=False),
    Column("until", Time, nullable=False),
    Column("looked", Time),
    Index("batches_open", "state", "looked"),
)


def add(session: Session, batch: Batch) -> None:
    """Write down a batch, before anything of it is reserved."""
    session.execute(insert(batches).values(**vars(batch)))


def change(session: Session, batch: Batch, was: Sequence[str], **values: Any) -> bool:
    """Write down what became of it, if it was in one of these states; returns whether."""
    changed = session.execute(
        update(batches).where(*_is(batch), batches.c.state.in_(was)).values(**values)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def get(session: Session, batch_id: str) -> Batch:
    """A batch that there is."""
    query = across_tenants(select(batches).where(batches.c.id == batch_id), _JOB)
    row = session.execute(query).one()
    return Batch(**row._mapping)


def open_ones(session: Session, provider: str | None) -> list[Batch]:
    """Those of a provider, or of all, that are not over, the oldest first."""
    query = select(batches).where(batches.c.state.in_(OPEN))
    if provider is not None:
        query = query.where(batches.c.provider == provider)
    query = across_tenants(query.order_by(batches.c.made, batches.c.id), _JOB)
    rows = session.execute(query)
    return [Batch(**row._mapping) for row in rows]


def remotes(session: Session, provider: str) -> frozenset[str]:
    """What a provider calls the batches that are known."""
    query = select(batches.c.remote).where(
        batches.c.provider == provider, batches.c.remote.is_not(None)
    )
    known: Sequence[str] = session.execute(across_tenants(query, _JOB)).scalars().all()
    return frozenset(known)


def is_preparing(session: Session, batch: Batch) -> bool:
    """Whether a batch is being prepared; then it is until the transaction ends."""
    query = select(batches.c.id).where(*_is(batch), batches.c.state == "preparing")
    return session.execute(query.with_for_update(read=True)).one_or_none() is not None


def stranded(session: Session, limit: int) -> list[tuple[str, bool]]:
    """Calls that are reserved for a batch that is over, of all tenants, and whether that left."""
    query = (
        select(ledger.c.call_id, batches.c.state, batches.c.remote)
        .join(batches, (batches.c.tenant == ledger.c.tenant) & (batches.c.id == ledger.c.batch))
        .where(ledger.c.state == "reserved", batches.c.state.in_(OVER))
        .order_by(ledger.c.call_id)
        .limit(limit)
    )
    rows = session.execute(across_tenants(query, _JOB))
    return [(row.call_id, row.state != "refused" or row.remote is not None) for row in rows]


def take(session: Session, batch: Batch, now: datetime, before: datetime) -> bool:
    """Take the next look at a batch, unless somebody had one since `before`."""
    taken = session.execute(
        update(batches)
        .where(
            *_is(batch),
            batches.c.state.in_(OPEN),
            batches.c.looked.is_(None) | (batches.c.looked <= before),
        )
        .values(looked=now)
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def left(session: Session, before: datetime, since: datetime) -> list[Batch]:
    """Those that are over and of which a provider may still have words: what nobody has tried to
    delete since `before`, and whose time was not over before `since`.
    """
    query = select(batches).where(
        batches.c.state.in_(OVER),
        batches.c.remote.is_not(None),
        batches.c.looked <= before,
        batches.c.until >= since,
    )
    rows = session.execute(across_tenants(query.order_by(batches.c.looked), _JOB))
    return [Batch(**row._mapping) for row in rows]


def take_left(session: Session, batch: Batch, now: datetime) -> bool:
    """Take the next try to delete what is left of a batch, unless somebody else did."""
    taken = session.execute(
        update(batches).where(*_is(batch), batches.c.looked == batch.looked).values(looked=now)
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _is(batch: Batch) -> tuple[ColumnElement[bool], ...]:
    return batches.c.tenant == batch.tenant, batches.c.id == batch.id
