"""Extractions, their clauses, and the messages that every service has."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time, create_tables, drop_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "extractions",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("adapter", sa.String(64)),
        sa.Column("adapter_version", sa.String(64)),
        sa.Column("blobs", sa.JSON, nullable=False),
        sa.Column("updated", Time, nullable=False),
    )
    op.create_table(
        "clauses",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Back to an empty database."""
    op.drop_table("clauses")
    op.drop_table("extractions")
    drop_tables(op)
