"""The documents in work are counted by an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

IN_WORK = sa.text("deleted IS NULL AND state != 'ended'")


def upgrade() -> None:
    """Few of many documents are in it."""
    op.create_index(
        "documents_in_work",
        "documents",
        ["tenant"],
        sqlite_where=IN_WORK,
        postgresql_where=IN_WORK,
    )


def downgrade() -> None:
    """Without it."""
    op.drop_index("documents_in_work", table_name="documents")
