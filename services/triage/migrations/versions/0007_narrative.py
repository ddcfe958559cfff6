"""A report keeps its narrative flags."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """In reports that were judged before, sentences were not looked for."""
    op.add_column("reports", sa.Column("narrative", sa.JSON(none_as_null=True)))
    op.add_column("reports", sa.Column("narrative_strong", sa.JSON(none_as_null=True)))
    op.add_column(
        "reports", sa.Column("narrative_found", sa.Integer, nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Without them."""
    for column in ("narrative_found", "narrative_strong", "narrative"):
        op.drop_column("reports", column)
