"""What lies in mails and archives."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every document that there is was uploaded by itself and holds nothing."""
    for column in (
        sa.Column("parts", sa.Integer),
        sa.Column("refused_parts", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("noted", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("uploaded", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("depth", sa.Integer, nullable=False, server_default="0"),
        sa.Column("root", sa.String(64)),
    ):
        op.add_column("documents", column)
    op.create_index("documents_root", "documents", ["tenant", "root"])
    op.create_table(
        "links",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("parent", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("child", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", Time, nullable=False),
    )
    op.create_index("links_child", "links", ["tenant", "child"])


def downgrade() -> None:
    """Documents that came in others stay, by themselves."""
    op.drop_table("links")
    op.drop_index("documents_root", "documents")
    for name in ("root", "depth", "uploaded", "noted", "refused_parts", "parts"):
        op.drop_column("documents", name)
