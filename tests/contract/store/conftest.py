"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.messaging.tables import Time
from shared.storage import Store

MIGRATIONS = Path(__file__).parent / "migrations"
NOTE = Table(
    "note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(200)),
    Column("number", Integer, default=0),
    Column("made", Time),
)


@pytest.fixture
def empty_store(url: str) -> Iterator[Store]:
    store = Store(url, "extraction", MIGRATIONS)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: Store) -> Store:
    empty_store.migrate()
    return empty_store


@pytest.fixture
def note() -> Table:
    return NOTE
