"""The tables of triage at release 0.1.0. Never edit this file: add a revision."""

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
        sa.Column("finding_id", sa.String(64), nullable=False),
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
        sa.Column("family", sa.String(64)),
        sa.PrimaryKeyConstraint("tenant", "finding_id"),
    )
    op.create_index("checks_document", "checks", ["tenant", "document_id"])
    op.create_index(
        "checks_guarantee", "checks", ["tenant", "adapter", "guarantee", "position"], unique=False
    )
    op.create_table(
        "decided",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("finding_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "finding_id"),
    )
    op.create_table(
        "dismissals",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("finding_id", sa.String(64), nullable=False),
        sa.Column("filer", sa.Text, nullable=False),
        sa.Column("relation", sa.String(64), nullable=False),
        sa.Column("reported", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("figure", sa.String(64)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "finding_id"),
    )
    op.create_index("dismissals_filer", "dismissals", ["tenant", "filer"])
    op.create_table(
        "figures",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("filing_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "adapter", "filing_id", "name"),
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
        "filers",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("filer", sa.String(200), nullable=False),
        sa.Column("last", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "filer"),
    )
    op.create_index("filers_last", "filers", ["tenant", "filer", "last"])
    op.create_table(
        "filings",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("recognised", sa.Boolean, nullable=False),
        sa.Column("warnings", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "number"),
    )
    op.create_table(
        "findings",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("filing", sa.Text, nullable=False),
        sa.Column("check", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("filer", sa.Text, nullable=False),
        sa.Column("dismissed_document", sa.String(64)),
        sa.Column("dismissed_finding", sa.String(64)),
        sa.Column("route", sa.String(16), server_default="review", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", "position"),
    )
    op.create_index(
        "findings_accepted",
        "findings",
        ["tenant"],
        sqlite_where=sa.text("route = 'accept'"),
        postgresql_where=sa.text("route = 'accept'"),
    )
    op.create_index(
        "findings_dismissed",
        "findings",
        ["tenant", "dismissed_document", "dismissed_finding"],
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
    op.create_table(
        "reports",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("blobs", sa.JSON, nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("risk", sa.Float, nullable=False),
        sa.Column("filings", sa.Integer, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("statements", sa.JSON),
        sa.Column("model", sa.JSON),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
        sa.Column("signals", sa.JSON),
        sa.Column("strong", sa.JSON),
        sa.Column("narrative", sa.JSON),
        sa.Column("narrative_strong", sa.JSON),
        sa.Column("narrative_found", sa.Integer, server_default="0", nullable=False),
        sa.Column("unreadable", sa.Integer, server_default="0", nullable=False),
        sa.Column("coverage", sa.JSON),
        sa.PrimaryKeyConstraint("tenant", "document_id"),
    )
    op.create_index(
        "reports_risk", "reports", ["tenant", "state", "risk", "document_id"], unique=False
    )
    secrets = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.execute(secrets.insert().values(name="draw", value=token_bytes(32)))
