"""A revision that fails half way."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds one table, then trips."""
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    raise RuntimeError("tripped")


def downgrade() -> None:
    """Never reached."""
    op.drop_table("half")
