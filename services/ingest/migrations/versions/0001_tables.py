"""The tables of ingest at release 0.1.0. Never edit this file: add a revision."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from shared.messaging.first_tables import create_tables

revision = "0001"
down_revision = None

Time = sa.DateTime(timezone=True)
Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of an empty database."""
    create_tables(op)
    op.create_table(
        "documents",
        sa.Column("id", sa.String(64), nullable=False),
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
        sa.Column("pages_done", sa.Integer),
        sa.Column("pages_total", sa.Integer),
        sa.Column("failed_pages", sa.JSON, nullable=False),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.Column("results", sa.JSON, nullable=False),
        sa.Column("failures", sa.JSON, nullable=False),
        sa.Column("cancelled", sa.String(100)),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("result_warnings", sa.JSON, nullable=False),
        sa.Column("classification", sa.JSON),
        sa.Column("adapters", sa.JSON, nullable=False),
        sa.Column("read_by", sa.JSON, nullable=False),
        sa.Column("original_sha256", sa.String(64)),
        sa.Column("original_size", sa.BigInteger),
        sa.Column("readable_sha256", sa.String(64)),
        sa.Column("readable_size", sa.BigInteger),
        sa.Column("text_sha256", sa.String(64)),
        sa.Column("text_size", sa.BigInteger),
        sa.Column("layout_sha256", sa.String(64)),
        sa.Column("layout_size", sa.BigInteger),
        sa.Column("parts", sa.Integer),
        sa.Column("refused_parts", sa.JSON, nullable=False),
        sa.Column("noted", sa.JSON, nullable=False),
        sa.Column("uploaded", sa.Boolean, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("root", sa.String(64)),
        sa.Column("created", Time, nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("ended", Time),
        sa.Column("deleted", Time),
        sa.Column("deleted_by", sa.String(100)),
        sa.Column("purged", Time),
        sa.Column("change", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("documents_changes", "documents", ["tenant", "change"])
    op.create_index("documents_deleted", "documents", ["tenant", "deleted"])
    op.create_index(
        "documents_in_work",
        "documents",
        ["tenant"],
        sqlite_where=sa.text("deleted IS NULL AND state != 'ended'"),
        postgresql_where=sa.text("deleted IS NULL AND state != 'ended'"),
    )
    op.create_index("documents_layout", "documents", ["tenant", "layout_sha256"])
    op.create_index("documents_newest", "documents", ["tenant", "created", "id"])
    op.create_index("documents_readable", "documents", ["tenant", "readable_sha256"])
    op.create_index("documents_root", "documents", ["tenant", "root"])
    op.create_index(
        "documents_same_bytes",
        "documents",
        ["tenant", "original_sha256"],
        unique=True,
        sqlite_where=sa.text("deleted IS NULL"),
        postgresql_where=sa.text("deleted IS NULL"),
    )
    op.create_index("documents_text", "documents", ["tenant", "text_sha256"])
    op.create_index(
        "documents_unnumbered",
        "documents",
        ["tenant", "updated"],
        sqlite_where=sa.text("change IS NULL"),
        postgresql_where=sa.text("change IS NULL"),
    )
    op.create_table(
        "first_pages",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "document_id", "number"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.create_table(
            "fulltext_tables",
            sa.Column("number", sa.Integer, nullable=False),
            sa.Column("size", sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint("number"),
            sqlite_autoincrement=True,
        )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", Time),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.JSON),
        sa.Column("headers", sa.JSON),
        sa.Column("expires", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest"),
    )
    op.create_index("idempotency_keys_expire", "idempotency_keys", ["expires"])
    op.create_table(
        "idempotency_subjects",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "digest"),
    )
    op.create_index(
        "idempotency_subjects_of_key", "idempotency_subjects", ["tenant", "digest"], unique=False
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("parent", sa.String(16)),
        sa.Column("created", Time, nullable=False),
        sa.Column("created_by", sa.String(100)),
        sa.Column("expires", Time),
        sa.Column("revoked", Time),
        sa.Column("last_used", Time),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["parent"], ["keys.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("keys_of_tenant", "keys", ["tenant", "created"])
    op.create_table(
        "links",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("child", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "parent", "position"),
    )
    op.create_index("links_child", "links", ["tenant", "child"])
    op.create_table(
        "numbers",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "passages",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("reach", sa.Integer, nullable=False),
        sa.Column("first_byte", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("furniture", sa.JSON, nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column("clause_id", sa.String(64)),
        sa.Column("category", sa.String(64)),
        sa.Column("confidence", sa.Float),
        sa.Column("fulltext_table", sa.Integer),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("passages_document", "passages", ["tenant", "document_id"])
    op.create_index(
        "passages_category",
        "passages",
        ["tenant", "category", "id"],
        sqlite_where=sa.text("category IS NOT NULL"),
        postgresql_where=sa.text("category IS NOT NULL"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("passages_fulltext_table", "passages", ["fulltext_table"])
    op.create_table(
        "retention",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind"),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("adapters", sa.JSON, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("expires", Time, nullable=False),
        sa.Column("document", sa.String(64)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_expire", "uploads", ["expires"])
    op.create_index("uploads_of_tenant", "uploads", ["tenant"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_table(
            "vectors",
            sa.Column("id", sa.BigInteger, nullable=False),
            sa.Column("words", TSVECTOR, nullable=False),
            sa.ForeignKeyConstraint(["id"], ["passages.id"], ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("id"),
        )
        op.create_index("vectors_words", "vectors", ["words"], unique=False, postgresql_using="gin")
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64)),
        sa.Column("time", Time, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("trace", sa.String(64)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "webhook_messages_of_document", "webhook_messages", ["tenant", "document_id"], unique=False
    )
    op.create_index("webhook_messages_oldest", "webhook_messages", ["created"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("types", sa.JSON, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", Time),
        sa.Column("created", Time, nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("updated", Time, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", Time),
        sa.Column("last_failed", Time),
        sa.Column("last_delivered", Time),
        sa.Column("paused_until", Time),
        sa.Column("lease", sa.String(100)),
        sa.Column("leased_until", Time),
        sa.Column("served", Time, nullable=False),
        sa.Column("deleted", Time),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhooks_of_tenant", "webhooks", ["tenant", "created", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("webhook_id", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("due", Time),
        sa.Column("created", Time, nullable=False),
        sa.Column("delivered", Time),
        sa.ForeignKeyConstraint(["message_id"], ["webhook_messages.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "due", "number"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "webhook_deliveries_of_document",
        "webhook_deliveries",
        ["tenant", "document_id"],
    )
    op.create_index(
        "webhook_deliveries_of_message", "webhook_deliveries", ["message_id"], unique=False
    )
    op.create_index(
        "webhook_deliveries_of_webhook",
        "webhook_deliveries",
        ["webhook_id", "number"],
    )
    op.create_index("webhook_deliveries_oldest", "webhook_deliveries", ["created"])
    op.create_table(
        "webhook_attempts",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("delivery", Number, nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("excerpt", sa.Text),
        sa.ForeignKeyConstraint(["delivery"], ["webhook_deliveries.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "webhook_attempts_of_delivery", "webhook_attempts", ["delivery", "number"], unique=False
    )
