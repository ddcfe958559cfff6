"""Each clause says what the machine does with it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """So far a person looked at everything."""
    op.add_column(
        "clauses", sa.Column("route", sa.String(16), nullable=False, server_default="review")
    )
    op.add_column(
        "clauses", sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """A person looks at everything again."""
    with op.batch_alter_table("clauses") as table:
        table.drop_column("sampled")
        table.drop_column("route")
