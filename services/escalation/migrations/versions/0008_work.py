"""Where a document is, and who has it: outbox and inbox say it."""

from alembic import op

from shared.storage.messages import downgrade_work, upgrade_work

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that say nothing of what was there before."""
    upgrade_work(op)


def downgrade() -> None:
    """Without the columns."""
    downgrade_work(op)
