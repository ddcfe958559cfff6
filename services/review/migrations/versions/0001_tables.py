"""The tables of review at release 0.1.0. Never edit this file: add a revision."""

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

from shared.messaging.first_tables import create_tables

revision = "0001"
down_revision = None

Time = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "decisions",
        sa.Column("number", Number, autoincrement=True, nullable=False),
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
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.Column("wrong", sa.Boolean),
        sa.Column("document_kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("tenant", "id", name="decisions_id"),
    )
    op.create_index("decisions_document", "decisions", ["tenant", "document_id"])
    op.create_index("decisions_item", "decisions", ["tenant", "item_id"])
    op.create_index("decisions_sampled", "decisions", ["sampled", "number"])
    op.create_table(
        "documents",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("page_count", sa.Integer, nullable=False),
        sa.Column("pages", sa.JSON, nullable=False),
        sa.Column("text", sa.JSON),
        sa.Column("layout", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("trace", sa.String(64)),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.String(64), nullable=False),
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
        sa.Column("omitted", sa.JSON),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("value", sa.JSON),
        sa.Column("finding", sa.JSON),
        sa.Column("proposal", sa.JSON),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(200)),
        sa.Column("lease_until", Time),
        sa.Column("tab", sa.String(64)),
        sa.Column("generation", sa.Integer),
        sa.Column("decision_id", sa.String(64)),
        sa.Column("verdict", sa.String(16)),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("decided", Time),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("chance", sa.Float),
        sa.Column("ordered_by", sa.String(64), nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("urgency", sa.Float, nullable=False),
        sa.Column("shown_confidence", sa.Float),
        sa.Column("shown_chance", sa.Float),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("items_document", "items", ["tenant", "document_id"])
    op.create_index("items_queue", "items", ["tenant", "verdict", "urgency", "id"])
    op.create_index(
        "items_sure",
        "items",
        ["tenant", "kind", "adapter", "category", "confidence", "document_id"],
        sqlite_where=sa.text("sampled = 1 OR route = 'accept' AND proposal IS NULL"),
        postgresql_where=sa.text("sampled OR route = 'accept' AND proposal IS NULL"),
    )
    op.create_index("items_tab", "items", ["tenant", "tab"])
    op.create_index(
        "items_unsure",
        "items",
        ["tenant", "kind", "adapter", "document_id", "id", "category"],
        sqlite_where=sa.text("route != 'accept' AND sampled = 0"),
        postgresql_where=sa.text("route != 'accept' AND NOT sampled"),
    )
    op.create_table(
        "shown",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("result_id", sa.String(64), nullable=False),
        sa.Column("ordered_by", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("chance", sa.Float),
        sa.Column("shown_confidence", sa.Float, nullable=False),
        sa.Column("shown_chance", sa.Float),
        sa.PrimaryKeyConstraint("tenant", "document_id", "result_id"),
    )
    op.create_table(
        "tabs",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.Column("seen", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "actor", "id"),
    )
    op.create_index("tabs_seen", "tabs", ["tenant", "seen"])
    secrets = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.execute(secrets.insert().values(name="draw", value=token_bytes(32)))
