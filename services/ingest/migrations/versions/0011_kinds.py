"""What ingest takes a document for, and the doubts of its specialist apart from other warnings."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was guessed so far; doubts that were kept stay among the warnings."""
    op.add_column("documents", sa.Column("doubts", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("documents", sa.Column("guess", sa.JSON))


def downgrade() -> None:
    """Without either."""
    op.drop_column("documents", "guess")
    op.drop_column("documents", "doubts")
