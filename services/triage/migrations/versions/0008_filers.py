"""Whose filings a document has, so that a report is found by its company."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of reports that were judged before it is not known until they are worked on again."""
    op.create_table(
        "filers",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("filer", sa.String(200), primary_key=True),
        sa.Column("last", sa.String(8), nullable=False),
    )
    op.create_index("filers_last", "filers", ["tenant", "filer", "last"])


def downgrade() -> None:
    """Without them."""
    op.drop_table("filers")
