"""How many clauses the machine accepted is counted without reading all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ACCEPTED = sa.text("route = 'accept'")


def upgrade() -> None:
    """An index of the accepted ones alone, which are few beside those that are not."""
    op.create_index(
        "clauses_accepted",
        "clauses",
        ["tenant", "adapter"],
        sqlite_where=ACCEPTED,
        postgresql_where=ACCEPTED,
    )


def downgrade() -> None:
    """Without the index."""
    op.drop_index("clauses_accepted", "clauses")
