"""The inbox keeps in mind what was given up."""

from alembic import op

from shared.storage.messages import downgrade_inbox, upgrade_inbox

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that new databases have from the start."""
    upgrade_inbox(op)


def downgrade() -> None:
    """Without the columns."""
    downgrade_inbox(op)
