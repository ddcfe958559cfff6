"""A report keeps its name, the number of its findings and its signals, and is listed by risk."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The names of reports that were judged before are not known; their signals were not sought."""
    op.add_column("reports", sa.Column("name", sa.Text, nullable=False, server_default=""))
    op.add_column("reports", sa.Column("found", sa.Integer, nullable=False, server_default="0"))
    op.add_column("reports", sa.Column("signals", sa.JSON))
    op.execute(
        "UPDATE reports SET found = (SELECT count(*) FROM findings WHERE findings.tenant = "
        "reports.tenant AND findings.document_id = reports.document_id)"
    )
    op.create_index("reports_risk", "reports", ["tenant", "state", "risk", "document_id"])


def downgrade() -> None:
    """Without them."""
    op.drop_index("reports_risk", "reports")
    for column in ("signals", "found", "name"):
        op.drop_column("reports", column)
