"""Checks are placed with a secret and shown like others; decisions say the kind and the source."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The secret is made here, once."""
    table = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(table, [{"name": "draw", "value": secrets.token_bytes(32)}])
    for name in ("shown_confidence", "shown_chance"):
        op.add_column("items", sa.Column(name, sa.Float))
    for name, size in (("document_kind", 16), ("source", 200)):
        column = sa.Column(name, sa.String(size), nullable=False, server_default="")
        op.add_column("decisions", column)
    op.drop_index("decisions_sampled", "decisions")
    op.create_index("decisions_sampled", "decisions", ["sampled", "number"])


def downgrade() -> None:
    """Another is made next time, which draws others."""
    op.drop_index("decisions_sampled", "decisions")
    op.create_index("decisions_sampled", "decisions", ["sampled"])
    with op.batch_alter_table("decisions") as table:
        for column in ("source", "document_kind"):
            table.drop_column(column)
    with op.batch_alter_table("items") as table:
        for column in ("shown_chance", "shown_confidence"):
            table.drop_column(column)
    op.drop_table("secrets")
