"""What is drawn as a check is drawn with a secret of this installation."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
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


def downgrade() -> None:
    """Another is made next time, which draws others."""
    op.drop_table("secrets")
