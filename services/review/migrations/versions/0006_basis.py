"""Documents: the hash of the file, and what the results rest on."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("documents", sa.Column("sha256", sa.String(64)))
    op.add_column("documents", sa.Column("basis", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("basis", "sha256"):
        op.drop_column("documents", name)
