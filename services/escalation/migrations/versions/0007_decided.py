"""What people have decided, as far as it was told since."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is known yet: the bus tells what it still has."""
    op.create_table(
        "decided",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("result_id", sa.String(64), primary_key=True),
        sa.Column("time", Time, nullable=False),
    )


def downgrade() -> None:
    """Without it."""
    op.drop_table("decided")
