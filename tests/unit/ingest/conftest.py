"""A whole ingest service with a reader of its own in this process, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import Postgres, server
from tests.unit.ingest.house import House


class Servers:
    """Starts PostgreSQL at the first test that asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: Postgres | None = None

    def database(self) -> str:
        """The URL of an empty database."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(server())
        return self._postgres.database()

    @property
    def folder(self) -> Path:
        """Where its files lie, once it is started."""
        assert self._postgres is not None
        return self._postgres.folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """What is started once for all tests here."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Ingest on SQLite."""
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_house(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[House]:
    """Ingest on SQLite, and the same test again on PostgreSQL."""
    url = servers.database() if request.param == "postgresql" else ""
    house = House(tmp_path, ingest_database_url=url)
    yield house
    house.close()
