"""Notes get a colour."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """A column with a default."""
    op.add_column("note", sa.Column("colour", sa.String(20), nullable=False, server_default="grey"))


def downgrade() -> None:
    """Without the column."""
    op.drop_column("note", "colour")
