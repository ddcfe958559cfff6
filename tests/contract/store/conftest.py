"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.storage import Store
from shared.storage.messages import Time
from tests.postgres import Postgres, server

MIGRATIONS = Path(__file__).parent / "migrations"
NOTE = Table(
    "note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(200)),
    Column("number", Integer, default=0),
    Column("made", Time),
)


class Servers:
    """Starts PostgreSQL at the first test that asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: Postgres | None = None

    def postgres(self) -> Postgres:
        """The one cluster of this test run."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(server())
        return self._postgres


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """What is started once for all tests here."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return servers.postgres().database()


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
