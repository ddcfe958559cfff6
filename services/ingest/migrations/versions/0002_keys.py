"""Keys: addresses, a second secret during a rotation, and where a session was opened."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    for column in (
        sa.Column("addresses", sa.Text),
        sa.Column("old_digest", sa.LargeBinary),
        sa.Column("old_secret_until", sa.DateTime(timezone=True)),
        sa.Column("address", sa.String(64)),
        sa.Column("user_agent", sa.String(200)),
    ):
        op.add_column("keys", column)


def downgrade() -> None:
    """Drop the columns."""
    for name in ("addresses", "old_digest", "old_secret_until", "address", "user_agent"):
        op.drop_column("keys", name)
