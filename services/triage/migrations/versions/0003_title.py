"""The title of a report."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("reports", sa.Column("title", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("reports", "title")
