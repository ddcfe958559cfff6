"""Documents: the title that people use, and the parties."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("documents", sa.Column("title", sa.Text))
    op.add_column("documents", sa.Column("parties", sa.JSON))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("documents", "parties")
    op.drop_column("documents", "title")
