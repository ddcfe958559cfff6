"""The tables of escalation at release 0.1.0. Never edit this file: add a revision."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.first_tables import create_tables

revision = "0001"
down_revision = None

Time = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "escalations",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested", Time, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("call_id", sa.String(64)),
        sa.Column("proposal", sa.JSON),
        sa.Column("answer", sa.JSON),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("escalations_document", "escalations", ["tenant", "document_id"])
    op.create_index(
        "escalations_newest", "escalations", ["tenant", "requested", "id"], unique=False
    )
    op.create_table(
        "decided",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "stage", "result_id"),
    )
    op.create_table(
        "readings",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("quoted", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "attempt", "adapter"),
    )
    op.create_index("readings_day", "readings", ["tenant", "day"])
    op.create_table(
        "exchanges",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("escalation_id", sa.String(80), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("reply", sa.JSON, nullable=False),
        sa.Column("good", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
    )
    op.create_index("exchanges_content", "exchanges", ["tenant", "content"])
    op.create_index("exchanges_document", "exchanges", ["tenant", "document_id"])
    op.create_table(
        "ledger",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("call_id", sa.String(64)),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("escalation_id", sa.String(80), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tokens_in", sa.BigInteger, nullable=False),
        sa.Column("tokens_out", sa.BigInteger, nullable=False),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
        sa.Column("reserved_micro_usd", sa.BigInteger, nullable=False),
        sa.Column("price_as_of", sa.String(10), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("until", Time),
        sa.Column("asked", Time),
        sa.Column("tokens", sa.BigInteger),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("call_id"),
    )
    op.create_index("ledger_content", "ledger", ["tenant", "content", "state"])
    op.create_index("ledger_day", "ledger", ["tenant", "day"])
    op.create_index("ledger_escalation", "ledger", ["tenant", "escalation_id"])
    op.create_index("ledger_open", "ledger", ["state", "until"])
    op.create_index("ledger_pace", "ledger", ["provider", "asked"])
    op.create_index("ledger_provider", "ledger", ["tenant", "provider"])
    op.create_table(
        "spending",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "period"),
    )
    op.create_table(
        "stopped",
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("since", Time, nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.create_table(
        "policies",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(12), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("since", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
