"""The tables of extraction at release 0.1.0. Never edit this file: add a revision."""

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
        "calibrations",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("undone", Time),
        sa.Column("undone_by", sa.String(200)),
        sa.PrimaryKeyConstraint("tenant", "adapter", "number"),
    )
    op.create_table(
        "checks",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("clause_id", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("belief", sa.Float, nullable=False),
        sa.Column("guarantee", sa.String(200), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.Column("wrong", sa.Boolean),
        sa.Column("position", sa.Integer),
        sa.PrimaryKeyConstraint("tenant", "clause_id"),
    )
    op.create_index("checks_document", "checks", ["tenant", "document_id"])
    op.create_index(
        "checks_guarantee", "checks", ["tenant", "adapter", "guarantee", "position"], unique=False
    )
    op.create_table(
        "clauses",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=False),
        sa.Column("omitted", sa.JSON),
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "position"),
    )
    op.create_index(
        "clauses_accepted",
        "clauses",
        ["tenant", "adapter"],
        sqlite_where=sa.text("route = 'accept'"),
        postgresql_where=sa.text("route = 'accept'"),
    )
    op.create_table(
        "extractions",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("blobs", sa.JSON, nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("passes", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id"),
    )
    op.create_table(
        "figures",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "adapter", "document_id", "name"),
    )
    op.create_index(
        "figures_newest",
        "figures",
        ["tenant", "adapter", "reference", "name", "time"],
    )
    op.create_index(
        "figures_values",
        "figures",
        ["tenant", "adapter", "reference", "name", "value"],
    )
    op.create_table(
        "monitors",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("guarantee", sa.String(200), nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("suspended", sa.JSON, nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("drift", sa.JSON),
        sa.Column("drifted", sa.Boolean, nullable=False),
        sa.Column("stability", sa.Float),
        sa.PrimaryKeyConstraint("tenant", "adapter"),
    )
    op.create_table(
        "notices",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("notices_newest", "notices", ["tenant", "number"])
    secrets = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.execute(secrets.insert().values(name="draw", value=token_bytes(32)))
