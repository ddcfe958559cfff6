"""Documents: tags, the person who takes care of one, and columns to search and sort by."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns, and fill those to search and sort by."""
    op.add_column("documents", sa.Column("tags", sa.Text))
    op.add_column("documents", sa.Column("assignee", sa.String(100)))
    for name in ("words", "sort_name"):
        op.add_column("documents", sa.Column(name, sa.Text))
    documents = sa.table("documents", *map(sa.column, ("id", "name", "words", "sort_name")))
    change = sa.update(documents).where(documents.c.id == sa.bindparam("one"))
    change = change.values(words=sa.bindparam("all"), sort_name=sa.bindparam("first"))
    connection = op.get_bind()
    rows = connection.execute(sa.select(documents.c.id, documents.c.name)).all()
    if rows:
        named = [(one, name.casefold()) for one, name in rows]
        connection.execute(change, [{"one": i, "all": n, "first": n[:100]} for i, n in named])


def downgrade() -> None:
    """Drop them."""
    for name in ("sort_name", "words", "assignee", "tags"):
        op.drop_column("documents", name)
