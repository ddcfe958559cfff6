"""The full-text index."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from shared.storage.messages import Number

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is read already is indexed by the worker, one document after the other."""
    op.create_table(
        "passages",
        sa.Column("id", Number, primary_key=True, autoincrement=True),
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
        sa.Column("shelf", sa.Integer),
        sqlite_autoincrement=True,
    )
    op.create_index("passages_document", "passages", ["tenant", "document_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_table(
            "vectors",
            sa.Column(
                "id",
                sa.BigInteger,
                sa.ForeignKey("passages.id", ondelete="CASCADE"),
                primary_key=True,
            ),
            sa.Column("words", TSVECTOR, nullable=False),
        )
        op.create_index("vectors_words", "vectors", ["words"], postgresql_using="gin")
    else:
        op.create_index("passages_shelf", "passages", ["shelf"])
        op.create_table(
            "shelves",
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("size", sa.BigInteger, nullable=False),
            sqlite_autoincrement=True,
        )
    op.create_table(
        "unindexed",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
    )
    op.execute(
        "INSERT INTO unindexed SELECT tenant, id FROM documents"
        " WHERE deleted IS NULL AND text_sha256 IS NOT NULL AND pages IS NOT NULL"
    )


def downgrade() -> None:
    """Nothing can be searched then."""
    op.drop_table("unindexed")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("vectors")
    else:
        for (number,) in op.get_bind().execute(sa.text("SELECT number FROM shelves")).all():
            op.execute(f"DROP TABLE shelf_{number:d}")
        op.drop_table("shelves")
    op.drop_table("passages")
