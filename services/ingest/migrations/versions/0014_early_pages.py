"""How far a document is read, and the pages that are, while the others are still read."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is being read meanwhile says so with its next pages."""
    op.add_column("documents", sa.Column("pages_done", sa.Integer))
    op.add_column("documents", sa.Column("pages_of", sa.Integer))
    op.create_table(
        "early_pages",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
    )


def downgrade() -> None:
    """Nothing is seen of a document before it is read."""
    op.drop_table("early_pages")
    op.drop_column("documents", "pages_of")
    op.drop_column("documents", "pages_done")
