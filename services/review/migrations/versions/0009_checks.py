"""Decisions say who found a clause, and what they tell of those that could have been accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """So far nothing was drawn as a check, and nobody kept who found it."""
    for table in ("items", "decisions"):
        op.add_column(table, sa.Column("adapter", sa.String(64), nullable=False, server_default=""))
    op.add_column(
        "decisions", sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("decisions", sa.Column("wrong", sa.Boolean))
    op.create_index("decisions_sampled", "decisions", ["sampled"])


def downgrade() -> None:
    """Nobody knows how often the machine is wrong."""
    op.drop_index("decisions_sampled", "decisions")
    with op.batch_alter_table("decisions") as table:
        for column in ("wrong", "sampled", "adapter"):
            table.drop_column(column)
    with op.batch_alter_table("items") as table:
        table.drop_column("adapter")
