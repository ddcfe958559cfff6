"""Where a document is, and who has it; webhook messages know the trace they belong to."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import downgrade_work, upgrade_work

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that say nothing of what was there before."""
    upgrade_work(op)
    op.add_column("webhook_messages", sa.Column("trace", sa.String(64)))


def downgrade() -> None:
    """Without the columns."""
    op.drop_column("webhook_messages", "trace")
    downgrade_work(op)
