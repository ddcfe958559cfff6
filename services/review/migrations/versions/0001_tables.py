"""The tables of review. Until the first release this one revision is edited in place."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.tables import Number, Time, create_tables
from shared.storage.secret import create_secrets

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    create_secrets(op)
    _documents()
    _items()
    _decisions()
    _tabs()


def _documents() -> None:
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
        sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("trace", sa.String(64)),
    )


def _items() -> None:
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
        sa.Column("withdrawn", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("route", sa.String(16), nullable=False, server_default="review"),
        sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("adapter", sa.String(64), nullable=False, server_default=""),
        sa.Column("chance", sa.Float),
        sa.Column("ordered_by", sa.String(64), nullable=False, server_default="confidence"),
        sa.Column("weight", sa.Float, nullable=False, server_default="1"),
        sa.Column("urgency", sa.Float, nullable=False, server_default="0"),
        sa.Column("shown_confidence", sa.Float),
        sa.Column("shown_chance", sa.Float),
    )
    op.create_index("items_queue", "items", ["tenant", "verdict", "urgency", "id"])
    op.create_index("items_document", "items", ["tenant", "document_id"])
    op.create_index("items_tab", "items", ["tenant", "tab"])
    route, sampled = sa.column("route", sa.String), sa.column("sampled", sa.Boolean)
    accept = sa.literal_column("'accept'", sa.String)
    unsure = sa.and_(route != accept, ~sampled)
    op.create_index(
        "items_unsure",
        "items",
        ["tenant", "kind", "adapter", "document_id", "id", "category"],
        sqlite_where=unsure,
        postgresql_where=unsure,
    )
    sure = sa.or_(sampled, sa.and_(route == accept, sa.column("proposal").is_(None)))
    op.create_index(
        "items_sure",
        "items",
        ["tenant", "kind", "adapter", "category", "confidence", "document_id"],
        sqlite_where=sure,
        postgresql_where=sure,
    )
    op.create_table(
        "shown",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("result_id", sa.String(64), primary_key=True),
        sa.Column("ordered_by", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("chance", sa.Float),
        sa.Column("shown_confidence", sa.Float, nullable=False),
        sa.Column("shown_chance", sa.Float),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("document_name", sa.Text, nullable=False),
        sa.Column("document_kind", sa.String(16), nullable=False, server_default=""),
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
        sa.Column("adapter", sa.String(64), nullable=False, server_default=""),
        sa.Column("sampled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("wrong", sa.Boolean),
        sa.Column("source", sa.String(200), nullable=False, server_default=""),
        sa.UniqueConstraint("tenant", "id", name="decisions_id"),
    )
    op.create_index("decisions_document", "decisions", ["tenant", "document_id"])
    op.create_index("decisions_item", "decisions", ["tenant", "item_id"])
    op.create_index("decisions_sampled", "decisions", ["sampled", "number"])


def _tabs() -> None:
    op.create_table(
        "tabs",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("actor", sa.String(200), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.Column("seen", Time, nullable=False),
    )
    op.create_index("tabs_seen", "tabs", ["tenant", "seen"])
