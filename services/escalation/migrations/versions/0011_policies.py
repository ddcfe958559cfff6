"""Which policy was in force when."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What held before is not known; the next start notes what holds."""
    op.create_table(
        "policies",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(12), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("since", Time, nullable=False),
    )


def downgrade() -> None:
    """Nobody can tell any more which rules held."""
    op.drop_table("policies")
