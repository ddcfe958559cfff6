"""What a check may look like is found without reading all items of a tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ACCEPTED = sa.literal_column("'accept'", sa.String)
ROUTE, SAMPLED = sa.column("route", sa.String), sa.column("sampled", sa.Boolean)
UNSURE = sa.and_(ROUTE != ACCEPTED, ~SAMPLED)
SURE = sa.or_(SAMPLED, sa.and_(ROUTE == ACCEPTED, sa.column("proposal").is_(None)))
FINDER = ("tenant", "kind", "adapter")


def upgrade() -> None:
    """An index of what was not sure enough, and one of what was."""
    op.create_index(
        "items_unsure",
        "items",
        [*FINDER, "document_id", "id", "category"],
        sqlite_where=UNSURE,
        postgresql_where=UNSURE,
    )
    op.create_index(
        "items_sure",
        "items",
        [*FINDER, "category", "confidence", "document_id"],
        sqlite_where=SURE,
        postgresql_where=SURE,
    )


def downgrade() -> None:
    """Without the indexes."""
    op.drop_index("items_sure", "items")
    op.drop_index("items_unsure", "items")
