"""What is promised about findings is watched: checks, figures of filings, evidence, notices."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Number, Time

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


ACCEPTED = sa.text("route = 'accept'")


def upgrade() -> None:
    """Nothing was watched so far. What was accepted is counted by an index of it alone."""
    op.create_index(
        "findings_accepted",
        "findings",
        ["tenant"],
        sqlite_where=ACCEPTED,
        postgresql_where=ACCEPTED,
    )
    op.create_table(
        "checks",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("finding_id", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("belief", sa.Float, nullable=False),
        sa.Column("promise", sa.String(200), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.Column("wrong", sa.Boolean),
        sa.Column("place", sa.Integer),
        sa.Column("family", sa.String(64)),
    )
    op.create_index("checks_document", "checks", ["tenant", "document_id"])
    op.create_index("checks_promise", "checks", ["tenant", "adapter", "promise", "place"])
    op.create_table(
        "figures",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("adapter", sa.String(64), primary_key=True),
        sa.Column("filing_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("time", Time, nullable=False),
    )
    known = ["tenant", "adapter", "reference", "name"]
    op.create_index("figures_values", "figures", [*known, "value"])
    op.create_index("figures_newest", "figures", [*known, "time"])
    op.create_table(
        "watches",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("adapter", sa.String(64), primary_key=True),
        sa.Column("promise", sa.String(200), nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON(none_as_null=True)),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("doubted", sa.JSON, nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("drift", sa.JSON(none_as_null=True)),
        sa.Column("drifted", sa.Boolean, nullable=False),
        sa.Column("stability", sa.Float),
    )
    op.create_table(
        "notices",
        sa.Column("number", Number, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
    )
    op.create_index("notices_newest", "notices", ["tenant", "number"])
    op.create_table(
        "calibrations",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("adapter", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("undone", Time),
        sa.Column("undone_by", sa.String(200)),
    )


def downgrade() -> None:
    """Nobody watches, and what was tightened is loose again."""
    for table in ("calibrations", "notices", "watches", "figures", "checks"):
        op.drop_table(table)
    op.drop_index("findings_accepted", "findings")
