"""Of each contract is kept what was searched, and how likely each category is there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that is empty for what was extracted before."""
    op.add_column("extractions", sa.Column("searched", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Without the column."""
    with op.batch_alter_table("extractions") as table:
        table.drop_column("searched")
