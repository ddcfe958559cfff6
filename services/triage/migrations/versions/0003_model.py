"""A report keeps what judged it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of reports that were judged before, it is not known."""
    op.add_column("reports", sa.Column("model", sa.JSON))


def downgrade() -> None:
    """Without it."""
    op.drop_column("reports", "model")
