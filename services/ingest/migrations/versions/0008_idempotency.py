"""Requests that take effect once."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No key is known yet."""
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", Time),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.JSON),
        sa.Column("headers", sa.JSON),
        sa.Column("expires", Time, nullable=False),
    )
    op.create_index("idempotency_keys_expire", "idempotency_keys", ["expires"])
    op.create_table(
        "idempotency_subjects",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
    )
    op.create_index("idempotency_subjects_of_key", "idempotency_subjects", ["tenant", "digest"])


def downgrade() -> None:
    """A request that is repeated is another one again."""
    op.drop_table("idempotency_subjects")
    op.drop_table("idempotency_keys")
