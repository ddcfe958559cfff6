"""The two tables that every service has beside its own: what it will say, and what it has heard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
    inspect,
)
from sqlalchemy.engine import Dialect


class Time(TypeDecorator[datetime]):
    """A moment in UTC, aware in Python, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC; a naive time is a mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """SQLite forgets the zone: it was UTC."""
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
    Column("event_id", String(64), primary_key=True),
    Column("starts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("first_seen", Time, nullable=False),
    Column("handled", Time),
    Column("given_up", Time),
    Column("buried", Time),
    Column("error", Text),
    Column("key", String(160)),
    Column("type", String(64)),
    Column("began", Time),
    Column("worker", String(200)),
    Column("next_try", Time),
    Column("seen", Time),
    Index("inbox_handled", "handled"),
    Index("inbox_key", "key"),
)

relay_lease = Table(
    "relay_lease",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Time, nullable=False),
)


def create_tables(operations: Any) -> None:
    """Called by the first revision of each service, with Alembic's `op`."""
    metadata.create_all(operations.get_bind())


def upgrade_inbox(operations: Any) -> None:
    """Called by the second revision: give the inbox of an older database what was added to it."""
    there = {column["name"] for column in inspect(operations.get_bind()).get_columns("inbox")}
    if "given_up" not in there:  # a new database has it from the start
        operations.add_column("inbox", Column("given_up", Time))
        operations.add_column("inbox", Column("buried", Time))
        operations.add_column("inbox", Column("error", Text))
        operations.create_index("inbox_handled", "inbox", ["handled"])


def downgrade_inbox(operations: Any) -> None:
    """The way back of `upgrade_inbox`."""
    operations.drop_index("inbox_handled", "inbox")
    for name in ("error", "buried", "given_up"):
        operations.drop_column("inbox", name)


_WORK = {
    "outbox": (("type", String(64)),),
    "inbox": (
        ("key", String(160)),
        ("type", String(64)),
        ("began", Time()),
        ("worker", String(200)),
        ("next_try", Time()),
    ),
}


def upgrade_work(operations: Any) -> None:
    """Called by a later revision: give both tables what tells where a document is, and the indexes
    to find it by. A new database has them from the start."""
    for table, columns in _WORK.items():
        there = {column["name"] for column in inspect(operations.get_bind()).get_columns(table)}
        if columns[0][0] in there:
            continue
        for name, kind in columns:
            operations.add_column(table, Column(name, kind))
        operations.create_index(f"{table}_key", table, ["key"])


def downgrade_work(operations: Any) -> None:
    """The way back of `upgrade_work`."""
    for table, columns in reversed(_WORK.items()):
        operations.drop_index(f"{table}_key", table)
        for name, _ in reversed(columns):
            operations.drop_column(table, name)


def upgrade_seen(operations: Any) -> None:
    """Called by a later revision: give the inbox the last sign of life of who has an event in hand.
    A new database has it from the start."""
    there = {column["name"] for column in inspect(operations.get_bind()).get_columns("inbox")}
    if "seen" not in there:
        operations.add_column("inbox", Column("seen", Time))


def downgrade_seen(operations: Any) -> None:
    """The way back of `upgrade_seen`."""
    operations.drop_column("inbox", "seen")


def drop_tables(operations: Any) -> None:
    """The way back of `create_tables`."""
    metadata.drop_all(operations.get_bind())
