"""Batches of calls that are handed in, and fetched when their provider is done."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was handed in before."""
    op.add_column("ledger", sa.Column("batch", sa.String(64)))
    op.create_index("ledger_batch", "ledger", ["batch"])
    op.create_table(
        "batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("remote", sa.String(128)),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("made", Time, nullable=False),
        sa.Column("until", Time, nullable=False),
        sa.Column("looked", Time),
    )
    op.create_index("batches_open", "batches", ["state", "looked"])


def downgrade() -> None:
    """What is at a provider counts in full, by its reservation."""
    op.drop_table("batches")
    op.drop_index("ledger_batch", "ledger")
    op.drop_column("ledger", "batch")
