"""The place that the last release left behind, on SQLite or moved to PostgreSQL."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, create_engine, insert, inspect, select, text
from sqlalchemy.engine import Engine

from infra.released_place import ARCHIVE, FACTS
from services.escalation.store import MIGRATIONS as ESCALATION
from services.extraction.store import MIGRATIONS as EXTRACTION
from services.ingest.store import MIGRATIONS as INGEST
from services.review.store import MIGRATIONS as REVIEW
from services.triage.store import MIGRATIONS as TRIAGE
from shared.storage import Store

MIGRATIONS = {
    "ingest": INGEST,
    "extraction": EXTRACTION,
    "triage": TRIAGE,
    "review": REVIEW,
    "escalation": ESCALATION,
}


def facts() -> dict[str, Any]:
    """What was done with it."""
    told: dict[str, Any] = json.loads(FACTS.read_text())
    return told


def unpack(folder: Path, databases: Mapping[str, str]) -> Path:
    """The data folder as the release left it; the rows go to `databases` where there are any."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for name, url in databases.items():
        store = Store(url, name, MIGRATIONS[name])
        store.migrate(facts()["revisions"][name])
        source = create_engine(f"sqlite:///{folder / 'data' / name}.db")
        drop_newer(source, store.engine)
        copy_rows(source, store.engine)
        source.dispose()
        store.close()
    return folder / "data"


def drop_newer(source: Engine, target: Engine) -> None:
    """Take columns and indices away that the release did not have: the first revision of today
    makes the tables of events with all that they have today.
    """
    had, tables = columns_of(source), columns_of(target)
    indices = {one: _indices(source, one) for one in tables}
    newer = {index for one in tables for index in _indices(target, one) - indices[one]}
    with target.begin() as write:
        for index in sorted(newer):
            write.execute(text(f"DROP INDEX {index}"))
        for table, columns in tables.items():
            for column in sorted(set(columns) - set(had[table])):
                write.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))


def _indices(engine: Engine, table: str) -> set[str]:
    found = inspect(engine).get_indexes(table)
    return {str(one["name"]) for one in found if "duplicates_constraint" not in one}


def copy_rows(source: Engine, target: Engine) -> None:
    """Every row of every table, and the numbers that follow."""
    tables = MetaData()
    tables.reflect(source)
    there = MetaData()
    there.reflect(target)
    with source.connect() as read, target.begin() as write:
        for table in there.sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = [
                {name: _aware(value) for name, value in row.items()}
                for row in read.execute(select(tables.tables[table.name])).mappings()
            ]
            if rows:
                write.execute(insert(table), rows)
            for column in table.primary_key.columns:
                if rows and _is_serial(column.server_default):
                    sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
                    highest = f"(SELECT coalesce(max({column.name}), 1) FROM {table.name})"
                    write.execute(text(f"SELECT setval({sequence}, {highest})"))


def _is_serial(default: Any) -> bool:
    return default is not None and "nextval" in str(getattr(default, "arg", ""))


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def rows_of(engine: Engine, columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The rows of some tables by these columns, each as text, sorted."""
    tables = MetaData()
    tables.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for name, names in columns.items():
            query = select(*(tables.tables[name].c[one] for one in names))
            found[name] = sorted(repr(tuple(row)) for row in connection.execute(query))
    return found


def columns_of(engine: Engine) -> dict[str, list[str]]:
    """Tables and their columns."""
    tables = MetaData()
    tables.reflect(engine)
    return {
        table.name: sorted(column.name for column in table.columns)
        for table in tables.sorted_tables
        if table.name != "alembic_version"
    }
