"""What a frontier model proposed about an item stands beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None so far."""
    op.add_column("items", sa.Column("proposal", sa.JSON))


def downgrade() -> None:
    """A person decides without them."""
    op.drop_column("items", "proposal")
