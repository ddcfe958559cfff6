"""The tables of every service for events, as release 0.1.0 made them.

The first revision of each service makes them. Never edit this file: a change of `tables.py` needs a
new revision in every service.
"""

from typing import Any

import sqlalchemy as sa

Time = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def create_tables(op: Any) -> None:
    """Make outbox, inbox, positions and lease in an empty database, with Alembic's `op`."""
    op.create_table(
        "bus_position",
        sa.Column("log", sa.String(200), nullable=False),
        sa.Column("next", Number, nullable=False),
        sa.PrimaryKeyConstraint("log"),
    )
    op.create_table(
        "inbox",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ready_at", Time, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("first_seen", Time, nullable=False),
        sa.Column("began", Time),
        sa.Column("seen", Time),
        sa.Column("ended", Time),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("event_id", "queue", name="inbox_event"),
    )
    op.create_index("inbox_ended", "inbox", ["state", "ended"])
    op.create_index("inbox_key", "inbox", ["key", "number"])
    op.create_index(
        "inbox_ready",
        "inbox",
        ["queue", "tenant", "ready_at", "number"],
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("sent", Time),
        sa.Column("type", sa.String(64)),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("outbox_key", "outbox", ["key"])
    op.create_index("outbox_unsent", "outbox", ["sent", "number"])
    op.create_table(
        "relay_lease",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", Time, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
