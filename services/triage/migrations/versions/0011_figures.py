"""A dismissal knows the very figure that it was said of."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was dismissed before it is not known: the day of the column was not kept."""
    op.add_column("dismissals", sa.Column("figure", sa.String(64)))


def downgrade() -> None:
    """Without it."""
    op.drop_column("dismissals", "figure")
