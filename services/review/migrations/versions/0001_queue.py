"""The queue, the decisions, and what is remembered of documents."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Number, Time, create_tables, drop_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("page_count", sa.Integer, nullable=False),
        sa.Column("pages", sa.JSON, nullable=False),
        sa.Column("text", sa.JSON),
        sa.Column("layout", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer),
        sa.Column("end", sa.Integer),
        sa.Column("page", sa.Integer),
        sa.Column("boxes", sa.JSON, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("finding", sa.JSON),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(200)),
        sa.Column("lease_until", Time),
        sa.Column("decision_id", sa.String(64)),
        sa.Column("verdict", sa.String(16)),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("decided", Time),
    )
    op.create_index("items_queue", "items", ["tenant", "verdict", "confidence", "id"])
    op.create_index("items_document", "items", ["tenant", "document_id"])
    op.create_table(
        "decisions",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("document_name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer),
        sa.Column("end", sa.Integer),
        sa.Column("page", sa.Integer),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("correction", sa.JSON),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.UniqueConstraint("tenant", "id", name="decisions_id"),
    )
    op.create_index("decisions_document", "decisions", ["tenant", "document_id"])
    op.create_index("decisions_item", "decisions", ["tenant", "item_id"])
    create_tables(op)


def downgrade() -> None:
    drop_tables(op)
    for name in ("decisions", "items", "documents"):
        op.drop_table(name)
