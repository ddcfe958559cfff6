"""The tables of every service for events: outbox, inbox, positions and the lease of the relay."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect


class Time(TypeDecorator[datetime]):
    """A moment in UTC, aware in Python, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert a time to UTC. Raises ValueError without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Add the zone UTC, which SQLite does not store."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")

outbox = Table(
    "outbox",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("key", String(160), nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("created", Time, nullable=False),
    Column("sent", Time),
    Column("type", String(64)),
    Index("outbox_unsent", "sent", "number"),
    Index("outbox_key", "key"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("key", String(160), nullable=False),
    Column("type", String(64), nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("ready_at", Time, nullable=False),
    Column("owner", String(200)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("first_seen", Time, nullable=False),
    Column("began", Time),
    Column("seen", Time),
    Column("ended", Time),
    Column("error", Text),
    UniqueConstraint("event_id", "queue", name="inbox_event"),
    Index("inbox_key", "key", "number"),
    Index("inbox_ended", "state", "ended"),
)
"""The received events of the service and the queue of its workers; `inbox.py` has the columns."""

Index(
    "inbox_ready",
    inbox.c.queue,
    inbox.c.tenant,
    inbox.c.ready_at,
    inbox.c.number,
    sqlite_where=inbox.c.ended.is_(None),
    postgresql_where=inbox.c.ended.is_(None),
)

bus_position = Table(
    "bus_position",
    metadata,
    Column("log", String(200), primary_key=True),
    Column("next", Number, nullable=False),
)
"""The offset of the event that the pump reads next, by log of the bus."""

relay_lease = Table(
    "relay_lease",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Time, nullable=False),
)
