"""An index for the decisions of a period."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the index."""
    op.create_index("decisions_time", "decisions", ["tenant", "time"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("decisions_time", "decisions")
