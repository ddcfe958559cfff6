"""Inserting a row whose key may be taken, in the dialect of the database that is there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_into(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows `on_conflict_…`, which SQLAlchemy has by dialect alone."""
    on_server = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if on_server else sqlite.insert(table)


def insert_new(session: Session, table: Table, **values: Any) -> bool:
    """Insert a row, unless a unique key of it is taken; returns whether it was inserted."""
    row = insert_into(session, table).values(**values).on_conflict_do_nothing()
    row = row.execution_options(preserve_rowcount=True)  # or PostgreSQL says -1 of every insert
    return bool(session.execute(row).rowcount)  # type: ignore[attr-defined]
