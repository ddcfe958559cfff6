"""Which findings people decided about, for the list of reports."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was decided before only what was dismissed is known here."""
    table = op.create_table(
        "decided",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("finding_id", sa.String(64), primary_key=True),
    )
    names = ("tenant", "document_id", "finding_id")
    known = sa.select(*sa.table("dismissals", *map(sa.column, names)).c)
    op.execute(sa.insert(table).from_select(names, known))


def downgrade() -> None:
    """Without it."""
    op.drop_table("decided")
