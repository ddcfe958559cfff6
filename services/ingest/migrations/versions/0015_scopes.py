"""What a key may do. Keys of before, and those that a process of before makes, may do all."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """NULL means all."""
    op.add_column("keys", sa.Column("scopes", sa.Text))


def downgrade() -> None:
    """Keys with few scopes end: without the column they could do everything."""
    op.execute(
        sa.text(
            "DELETE FROM keys WHERE scopes IS NOT NULL AND scopes <> "
            "'documents:read documents:write results:read review admin'"
        )
    )
    op.drop_column("keys", "scopes")
