"""The tables of triage. Until the first release this one revision is edited in place."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.tables import Time, create_tables
from shared.monitoring.store import Tables
from shared.projection import document_columns
from shared.storage.secret import create_secrets

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    create_secrets(op)
    family = sa.Column("family", sa.String(64))
    Tables.of(sa.MetaData(), "finding_id", "filing_id", family).create(op)
    _reports()
    _findings()
    _dismissals()


def _reports() -> None:
    op.create_table(
        "reports",
        *document_columns(),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("risk", sa.Float, nullable=False),
        sa.Column("filings", sa.Integer, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("statements", sa.JSON),
        sa.Column("model", sa.JSON),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("found", sa.Integer, nullable=False, server_default="0"),
        sa.Column("signals", sa.JSON),
        sa.Column("strong", sa.JSON),
        sa.Column("narrative", sa.JSON),
        sa.Column("narrative_strong", sa.JSON),
        sa.Column("narrative_found", sa.Integer, nullable=False, server_default="0"),
        sa.Column("unreadable", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("reports_risk", "reports", ["tenant", "state", "risk", "document_id"])
    op.create_table(
        "filers",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("filer", sa.String(200), primary_key=True),
        sa.Column("last", sa.String(8), nullable=False),
    )
    op.create_index("filers_last", "filers", ["tenant", "filer", "last"])
    op.create_table(
        "filings",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("recognised", sa.Boolean, nullable=False),
        sa.Column("warnings", sa.Integer, nullable=False),
    )


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("filing", sa.Text, nullable=False),
        sa.Column("check", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("filer", sa.Text, nullable=False, server_default=""),
        sa.Column("dismissed_document", sa.String(64)),
        sa.Column("dismissed_finding", sa.String(64)),
        sa.Column("route", sa.String(16), nullable=False, server_default="review"),
    )
    dismissed = ["tenant", "dismissed_document", "dismissed_finding"]
    op.create_index("findings_dismissed", "findings", dismissed)
    accepted = sa.text("route = 'accept'")
    op.create_index(
        "findings_accepted",
        "findings",
        ["tenant"],
        sqlite_where=accepted,
        postgresql_where=accepted,
    )


def _dismissals() -> None:
    op.create_table(
        "dismissals",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("finding_id", sa.String(64), primary_key=True),
        sa.Column("filer", sa.Text, nullable=False),
        sa.Column("relation", sa.String(64), nullable=False),
        sa.Column("reported", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("figure", sa.String(64)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
    )
    op.create_index("dismissals_filer", "dismissals", ["tenant", "filer"])
    op.create_table(
        "decided",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("finding_id", sa.String(64), primary_key=True),
    )
