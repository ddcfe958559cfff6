"""Requests that are being asked, and answers that were proposed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def new_columns() -> list[sa.Column]:
    """Nothing was asked before."""
    return [
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
        sa.Column("category", sa.String(200), nullable=False, server_default=""),
        sa.Column("call_id", sa.String(64)),
        sa.Column("proposal", sa.JSON),
        sa.Column("answer", sa.JSON),
    ]


def upgrade() -> None:
    """All that was requested stays unanswered."""
    for column in new_columns():
        op.add_column("escalations", column)
    op.create_index("escalations_document", "escalations", ["tenant", "document_id"])


def downgrade() -> None:
    """Without the answers."""
    op.drop_index("escalations_document", "escalations")
    op.execute("DELETE FROM escalations WHERE state != 'unanswered'")
    for column in reversed(new_columns()):
        op.drop_column("escalations", column.name)
