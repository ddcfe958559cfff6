"""A document may be read by several specialists; each clause says which one found it."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_rows = sa.table(
    "extractions",
    sa.column("tenant", sa.String),
    sa.column("document_id", sa.String),
    sa.column("adapter", sa.String),
    sa.column("adapter_version", sa.String),
    sa.column("searched", sa.JSON(none_as_null=True)),
    sa.column("passes", sa.JSON),
)
_OF_DOCUMENT = "e.tenant = clauses.tenant AND e.document_id = clauses.document_id"


def upgrade() -> None:
    """What was extracted before is one pass of the specialist that was noted."""
    op.add_column("extractions", sa.Column("passes", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("clauses", sa.Column("adapter", sa.String(64), nullable=False, server_default=""))
    first = f"SELECT COALESCE(MAX(e.adapter), '') FROM extractions e WHERE {_OF_DOCUMENT}"  # noqa: S608
    op.execute(f"UPDATE clauses SET adapter = ({first})")  # noqa: S608
    for row in _all(_rows.c.adapter.is_not(None)):
        one = {"adapter": row.adapter, "version": row.adapter_version, "searched": row.searched}
        _change(row, passes=[one])
    with op.batch_alter_table("extractions") as table:
        for name in ("adapter", "adapter_version", "searched"):
            table.drop_column(name)


def downgrade() -> None:
    """Of several passes the first is left, with the clauses of all."""
    op.add_column("extractions", sa.Column("adapter", sa.String(64)))
    op.add_column("extractions", sa.Column("adapter_version", sa.String(64)))
    op.add_column("extractions", sa.Column("searched", sa.JSON(none_as_null=True)))
    for row in _all(sa.true()):
        if row.passes:
            one = row.passes[0]
            known = {"adapter": one["adapter"], "adapter_version": one["version"]}
            _change(row, searched=one["searched"], **known)
    with op.batch_alter_table("extractions") as table:
        table.drop_column("passes")
    with op.batch_alter_table("clauses") as table:
        table.drop_column("adapter")


def _all(wanted: sa.ColumnElement[bool]) -> Iterator[sa.Row]:
    """The rows one by one: their searches need not fit into memory together."""
    bind = op.get_bind()
    for key in bind.execute(sa.select(_rows.c.tenant, _rows.c.document_id).where(wanted)).all():
        yield bind.execute(sa.select(_rows).where(*_is(key))).one()


def _change(row: sa.Row, **values: object) -> None:
    op.get_bind().execute(sa.update(_rows).where(*_is(row)).values(**values))


def _is(row: sa.Row) -> tuple[sa.ColumnElement[bool], ...]:
    return (_rows.c.tenant == row.tenant, _rows.c.document_id == row.document_id)
