"""Who stopped the work on a document."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody did so far."""
    op.add_column("documents", sa.Column("cancelled", sa.String(100)))


def downgrade() -> None:
    """What was cancelled is as if it were still being worked on."""
    op.drop_column("documents", "cancelled")
