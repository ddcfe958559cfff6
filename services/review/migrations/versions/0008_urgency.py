"""The queue is ordered by urgency, which a learned chance may tell."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """So far confidence ordered everything."""
    op.add_column("items", sa.Column("chance", sa.Float))
    op.add_column(
        "items",
        sa.Column("ordered_by", sa.String(64), nullable=False, server_default="confidence"),
    )
    op.add_column("items", sa.Column("weight", sa.Float, nullable=False, server_default="1"))
    op.add_column("items", sa.Column("urgency", sa.Float, nullable=False, server_default="0"))
    op.execute("UPDATE items SET urgency = 1 - confidence")
    op.drop_index("items_queue", "items")
    op.create_index("items_queue", "items", ["tenant", "verdict", "urgency", "id"])


def downgrade() -> None:
    """Confidence orders the queue again."""
    op.drop_index("items_queue", "items")
    op.create_index("items_queue", "items", ["tenant", "verdict", "confidence", "id"])
    with op.batch_alter_table("items") as table:
        for column in ("urgency", "weight", "ordered_by", "chance"):
            table.drop_column(column)
