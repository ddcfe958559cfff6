"""The order in which documents change, which streams of events go on by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Documents get their number when somebody first listens."""
    op.add_column("documents", sa.Column("change", sa.BigInteger))
    op.create_index("documents_changes", "documents", ["tenant", "change"])
    op.create_table(
        "numbers",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    waiting = sa.text("change IS NULL")
    op.create_index(
        "documents_unnumbered",
        "documents",
        ["tenant", "updated"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def downgrade() -> None:
    """Nobody knows the order then."""
    op.drop_table("numbers")
    op.drop_index("documents_unnumbered", "documents")
    op.drop_index("documents_changes", "documents")
    op.drop_column("documents", "change")
