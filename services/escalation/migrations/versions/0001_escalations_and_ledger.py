"""Requests, the ledger, and the messages that every service has."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Number, Time, create_tables, drop_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "escalations",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested", Time, nullable=False),
    )
    op.create_index("escalations_newest", "escalations", ["tenant", "requested", "id"])
    op.create_table(
        "ledger",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("escalation_id", sa.String(80), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("tokens_in", sa.BigInteger, nullable=False),
        sa.Column("tokens_out", sa.BigInteger, nullable=False),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
        sa.Column("time", Time, nullable=False),
    )
    op.create_index("ledger_provider", "ledger", ["tenant", "provider"])


def downgrade() -> None:
    """Back to an empty database."""
    op.drop_table("ledger")
    op.drop_table("escalations")
    drop_tables(op)
