"""An item remembers which tab holds it, and a tab which of its stays have ended."""

import sqlalchemy as sa
from alembic import op

from shared.storage.messages import Time

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is held now is of no tab."""
    op.add_column("items", sa.Column("tab", sa.String(64)))
    op.add_column("items", sa.Column("generation", sa.Integer))
    op.create_index("items_tab", "items", ["tenant", "tab"])
    op.create_table(
        "tabs",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("actor", sa.String(200), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.Column("seen", Time, nullable=False),
    )
    op.create_index("tabs_seen", "tabs", ["tenant", "seen"])


def downgrade() -> None:
    """Without tabs; what is held stays held."""
    op.drop_table("tabs")
    op.drop_index("items_tab", "items")
    op.drop_column("items", "generation")
    op.drop_column("items", "tab")
