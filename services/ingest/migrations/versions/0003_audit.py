"""The audit trail of ingest."""

from alembic import op

from shared.audit.first_tables import create_tables, drop_tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the trail and the heads of its chains."""
    create_tables(op)


def downgrade() -> None:
    """Drop them."""
    drop_tables(op)
