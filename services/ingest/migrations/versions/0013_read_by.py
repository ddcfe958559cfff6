"""Which specialists have read a document, where its uploader named none."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was read before, nothing is known."""
    op.add_column("documents", sa.Column("read_by", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Without them."""
    op.drop_column("documents", "read_by")
