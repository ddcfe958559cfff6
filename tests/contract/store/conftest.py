"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.storage import Store
from shared.storage.messages import Time
from tests.postgres import Servers

MIGRATIONS = Path(__file__).parent / "migrations"
NOTE = Table(
    "note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(200)),
    Column("number", Integer, default=0),
    Column("made", Time),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return servers.database()


@pytest.fixture
def empty_store(url: str) -> Iterator[Store]:
    """A store without tables."""
    store = Store(url, "extraction", MIGRATIONS)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: Store) -> Store:
    """A store with the tables of the newest revision."""
    empty_store.migrate()
    return empty_store


@pytest.fixture
def note() -> Table:
    """A table of the service's own."""
    return NOTE
