"""Users: people with a role, beside their rows in `keys`."""

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table, and the secret that signs the cookie of a sign-in."""
    secrets = op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.execute(secrets.insert().values(name="sign-in", value=token_bytes(32)))
    op.create_table(
        "users",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("subject", sa.Text),
        sa.ForeignKeyConstraint(["id"], ["keys.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("subject"),
    )


def downgrade() -> None:
    """Remove them. Users can't sign in any more; what they did keeps their names."""
    op.execute("DELETE FROM keys WHERE parent IN (SELECT id FROM keys WHERE kind = 'user')")
    op.execute("DELETE FROM keys WHERE kind = 'user'")
    op.drop_table("users")
    op.drop_table("secrets")
