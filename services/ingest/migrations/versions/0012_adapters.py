"""Which specialists an uploader wants a document to be read by."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody could name any so far."""
    for table in ("documents", "uploads"):
        op.add_column(table, sa.Column("adapters", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Without the wishes."""
    for table in ("documents", "uploads"):
        op.drop_column(table, "adapters")
