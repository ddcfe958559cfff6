"""What the machine accepted by itself is kept beside the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """So far everything waited for a person."""
    op.add_column(
        "items", sa.Column("route", sa.String(16), nullable=False, server_default="review")
    )
    op.add_column(
        "items", sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """What was accepted waits for a person again."""
    with op.batch_alter_table("items") as table:
        table.drop_column("sampled")
        table.drop_column("route")
