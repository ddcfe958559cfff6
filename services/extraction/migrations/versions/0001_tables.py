"""The tables of extraction. Until the first release this one revision is edited in place."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.tables import create_tables
from shared.monitoring.store import Tables
from shared.projection import document_columns
from shared.storage.secret import create_secrets

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    create_secrets(op)
    Tables.of(sa.MetaData(), "clause_id", "document_id").create(op)
    op.create_table(
        "extractions",
        *document_columns(),
        sa.Column("passes", sa.JSON, nullable=False, server_default="[]"),
    )
    op.create_table(
        "clauses",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False, server_default=""),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=False),
        sa.Column("route", sa.String(16), nullable=False, server_default="review"),
        sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    accepted = sa.text("route = 'accept'")
    op.create_index(
        "clauses_accepted",
        "clauses",
        ["tenant", "adapter"],
        sqlite_where=accepted,
        postgresql_where=accepted,
    )
