"""A document remembers that the work on it was stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody stopped any so far."""
    op.add_column(
        "documents",
        sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """What was withdrawn stays so."""
    op.drop_column("documents", "cancelled")
