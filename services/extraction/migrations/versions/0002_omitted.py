"""Page numbers, running heads and legends within a clause."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column. Earlier clauses have none."""
    op.add_column("clauses", sa.Column("omitted", sa.JSON))
