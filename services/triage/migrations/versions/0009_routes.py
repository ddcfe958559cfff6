"""Findings have a route, and checks of what is accepted are drawn with a secret."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was found before waits for people, as it did. The secret is made here, once."""
    route = sa.Column("route", sa.String(16), nullable=False, server_default="review")
    op.add_column("findings", route)
    table = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(table, [{"name": "draw", "value": secrets.token_bytes(32)}])


def downgrade() -> None:
    """Another secret is made next time, which draws others."""
    op.drop_table("secrets")
    with op.batch_alter_table("findings") as findings:
        findings.drop_column("route")
