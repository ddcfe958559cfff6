"""Requests without a batch are found behind any number of others, and these by their batch."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WITHOUT = sa.text("batch IS NULL")
WITH = sa.text("batch IS NOT NULL")


def upgrade() -> None:
    """Each of the two has an index of its own, in place of one of all."""
    op.create_index(
        "backlog_without",
        "backlog",
        ["kept", "event_id"],
        sqlite_where=WITHOUT,
        postgresql_where=WITHOUT,
    )
    op.create_index(
        "backlog_batch",
        "backlog",
        ["batch", "kept"],
        sqlite_where=WITH,
        postgresql_where=WITH,
    )
    op.drop_index("backlog_oldest", "backlog")


def downgrade() -> None:
    """The index of all."""
    op.create_index("backlog_oldest", "backlog", ["kept"])
    op.drop_index("backlog_batch", "backlog")
    op.drop_index("backlog_without", "backlog")
