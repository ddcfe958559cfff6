"""Items and decisions: whether a specialist found the result, or a person added it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns."""
    for table in ("items", "decisions"):
        origin = sa.Column("origin", sa.String(16), nullable=False, server_default="model")
        op.add_column(table, origin)


def downgrade() -> None:
    """Drop the columns."""
    for table in ("items", "decisions"):
        op.drop_column(table, "origin")
