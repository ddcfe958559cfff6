"""How long documents are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Without a rule, for ever."""
    op.create_table(
        "retention",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("days", sa.Integer, nullable=False),
    )
    op.create_index("documents_deleted", "documents", ["tenant", "deleted"])


def downgrade() -> None:
    """For ever again."""
    op.drop_index("documents_deleted", "documents")
    op.drop_table("retention")
