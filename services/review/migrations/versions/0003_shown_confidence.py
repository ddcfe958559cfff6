"""Decisions: the confidence that the reviewer of an audit sample saw."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("decisions", sa.Column("shown_confidence", sa.Float))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("decisions", "shown_confidence")
