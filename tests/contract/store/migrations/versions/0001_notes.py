"""A table of notes, beside the outbox and inbox that every service has."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.first_tables import create_tables
from shared.messaging.tables import Time, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "note",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("made", Time),
    )
    create_tables(op)


def downgrade() -> None:
    """Back to nothing."""
    metadata.drop_all(op.get_bind())
    op.drop_table("note")
