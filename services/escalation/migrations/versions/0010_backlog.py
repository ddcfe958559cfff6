"""Requests that wait for a batch."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing waits yet."""
    op.create_table(
        "backlog",
        sa.Column("event_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("kept", Time, nullable=False),
        sa.Column("batch", sa.String(64)),
    )
    op.create_index("backlog_document", "backlog", ["tenant", "document_id"])
    op.create_index("backlog_oldest", "backlog", ["kept"])


def downgrade() -> None:
    """What waited has come to people long ago; what is at a provider counts in full."""
    op.drop_table("backlog")
