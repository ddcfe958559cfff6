"""What a check shows is the same after its document was read again."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Checks that wait show what they show; those that were decided have shown it too."""
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
    op.execute(
        "INSERT INTO shown (tenant, document_id, result_id, ordered_by, confidence, chance,"
        " shown_confidence, shown_chance) SELECT tenant, document_id, result_id, ordered_by,"
        " confidence, chance, shown_confidence, shown_chance FROM items AS one"
        " WHERE shown_confidence IS NOT NULL AND id = (SELECT max(id) FROM items AS other"
        " WHERE other.tenant = one.tenant AND other.document_id = one.document_id"
        " AND other.result_id = one.result_id AND other.shown_confidence IS NOT NULL)"
    )


def downgrade() -> None:
    """Another one will be shown."""
    op.drop_table("shown")
