"""Webhooks, what they are sent, and the log of it."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Number, Time

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Tables that are empty at first."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("types", sa.JSON, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", Time),
        sa.Column("created", Time, nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", Time),
        sa.Column("last_failed", Time),
        sa.Column("last_delivered", Time),
        sa.Column("rests_until", Time),
        sa.Column("lease", sa.String(100)),
        sa.Column("leased_until", Time),
        sa.Column("served", Time, nullable=False),
        sa.Column("deleted", Time),
    )
    op.create_index("webhooks_of_tenant", "webhooks", ["tenant", "created", "id"])
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64)),
        sa.Column("time", Time, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created", Time, nullable=False),
    )
    op.create_index("webhook_messages_of_document", "webhook_messages", ["tenant", "document_id"])
    op.create_index("webhook_messages_oldest", "webhook_messages", ["created"])
    _deliveries()
    op.create_table(
        "webhook_attempts",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column(
            "delivery",
            Number,
            sa.ForeignKey("webhook_deliveries.number", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("time", Time, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("excerpt", sa.Text),
    )
    op.create_index("webhook_attempts_of_delivery", "webhook_attempts", ["delivery", "number"])


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column(
            "webhook_id",
            sa.String(64),
            sa.ForeignKey("webhooks.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "message_id",
            sa.String(64),
            sa.ForeignKey("webhook_messages.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("due", Time),
        sa.Column("created", Time, nullable=False),
        sa.Column("delivered", Time),
    )
    for name, columns in {
        "of_webhook": ["webhook_id", "number"],
        "of_message": ["message_id"],
        "of_document": ["tenant", "document_id"],
        "oldest": ["created"],
    }.items():
        op.create_index(f"webhook_deliveries_{name}", "webhook_deliveries", columns)
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "due", "number"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )


def downgrade() -> None:
    """Without webhooks; nobody is told of anything any more."""
    for table in ("webhook_attempts", "webhook_deliveries", "webhook_messages", "webhooks"):
        op.drop_table(table)
