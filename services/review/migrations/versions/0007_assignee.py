"""Who reviews an item, and which decisions were made without a look at each."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("items", sa.Column("assignee", sa.String(200)))
    bulk = sa.Column("bulk", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("decisions", bulk)


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("items", "assignee")
    op.drop_column("decisions", "bulk")
