"""Documents, keys, and the messages that every service has."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time, create_tables, drop_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ALIVE = sa.text("deleted IS NULL")


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "documents",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("kind_source", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer),
        sa.Column("failed_pages", sa.JSON, nullable=False),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.Column("results", sa.JSON, nullable=False),
        sa.Column("failures", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("original_sha256", sa.String(64)),
        sa.Column("original_size", sa.BigInteger),
        sa.Column("readable_sha256", sa.String(64)),
        sa.Column("readable_size", sa.BigInteger),
        sa.Column("text_sha256", sa.String(64)),
        sa.Column("text_size", sa.BigInteger),
        sa.Column("layout_sha256", sa.String(64)),
        sa.Column("layout_size", sa.BigInteger),
        sa.Column("created", Time, nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("ended", Time),
        sa.Column("deleted", Time),
        sa.Column("deleted_by", sa.String(100)),
        sa.Column("purged", Time),
    )
    op.create_index(
        "documents_same_bytes",
        "documents",
        ["tenant", "original_sha256"],
        unique=True,
        sqlite_where=_ALIVE,
        postgresql_where=_ALIVE,
    )
    for name in ("readable", "text", "layout"):
        op.create_index(f"documents_{name}", "documents", ["tenant", f"{name}_sha256"])
    op.create_index("documents_newest", "documents", ["tenant", "created", "id"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("parent", sa.String(16), sa.ForeignKey("keys.id", ondelete="CASCADE")),
        sa.Column("created", Time, nullable=False),
        sa.Column("created_by", sa.String(100)),
        sa.Column("expires", Time),
        sa.Column("revoked", Time),
        sa.Column("last_used", Time),
    )
    op.create_index("keys_of_tenant", "keys", ["tenant", "created"])


def downgrade() -> None:
    """Back to an empty database."""
    op.drop_table("keys")
    op.drop_table("documents")
    drop_tables(op)
