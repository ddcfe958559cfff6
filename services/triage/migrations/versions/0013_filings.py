"""What of each filing decides whether its findings need a person, so that a policy can be tried."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was checked before it is not known: those reports can't be tried."""
    op.create_table(
        "filings",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("recognised", sa.Boolean, nullable=False),
        sa.Column("warnings", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Without it."""
    op.drop_table("filings")
