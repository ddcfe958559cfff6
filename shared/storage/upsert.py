"""Insert rows whose key may exist, in the dialect of the session's database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_into(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT with `on_conflict_…`, which SQLAlchemy has only by dialect."""
    on_server = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if on_server else sqlite.insert(table)


def insert_new(session: Session, table: Table, **values: Any) -> bool:
    """Insert a row, unless one of its unique keys exists. Returns whether it was inserted."""
    row = insert_into(session, table).values(**values).on_conflict_do_nothing()
    row = row.execution_options(preserve_rowcount=True)  # otherwise PostgreSQL returns -1
    return bool(session.execute(row).rowcount)  # type: ignore[attr-defined]
