"""Where a document is, and who has it; decisions belong to the trace of their document."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import downgrade_work, upgrade_work

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that say nothing of what was there before."""
    upgrade_work(op)
    op.add_column("documents", sa.Column("trace", sa.String(64)))


def downgrade() -> None:
    """Without the columns."""
    op.drop_column("documents", "trace")
    downgrade_work(op)
