"""Uploads in several requests."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There are none yet."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("expires", Time, nullable=False),
        sa.Column("document", sa.String(64)),
    )
    op.create_index("uploads_of_tenant", "uploads", ["tenant"])
    op.create_index("uploads_expire", "uploads", ["expires"])


def downgrade() -> None:
    """Those that are not finished are lost; their bytes stay in the folder `uploads`."""
    op.drop_table("uploads")
