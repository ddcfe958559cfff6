"""What analysts dismissed with a reason, by filer and relation."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was dismissed so far; of findings before this the filer is not known."""
    op.add_column("findings", sa.Column("filer", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "dismissals",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("finding_id", sa.String(64), primary_key=True),
        sa.Column("filer", sa.Text, nullable=False),
        sa.Column("relation", sa.String(64), nullable=False),
        sa.Column("reported", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("time", Time, nullable=False),
    )
    op.create_index("dismissals_filer", "dismissals", ["tenant", "filer"])


def downgrade() -> None:
    """Without them."""
    op.drop_table("dismissals")
    op.drop_column("findings", "filer")
