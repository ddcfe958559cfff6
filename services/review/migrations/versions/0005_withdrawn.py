"""Decided items of a kind that their document is not of any more are kept, and not shown."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None so far."""
    column = sa.Column("withdrawn", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("items", column)


def downgrade() -> None:
    """They are shown again."""
    op.drop_column("items", "withdrawn")
