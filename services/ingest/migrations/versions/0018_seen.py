"""Whether who has an event in hand still lives: the inbox says when it was last seen."""

from alembic import op

from shared.storage.messages import downgrade_seen, upgrade_seen

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that says nothing of what was there before."""
    upgrade_seen(op)


def downgrade() -> None:
    """Without the column."""
    downgrade_seen(op)
