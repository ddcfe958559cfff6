"""Who reviews the items of a document, and when that was set."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("documents", sa.Column("assignee", sa.String(200)))
    op.add_column("documents", sa.Column("assigned", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("documents", "assigned")
    op.drop_column("documents", "assignee")
