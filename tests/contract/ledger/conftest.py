"""Every test in this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.escalation.store import MIGRATIONS
from shared.storage import Store
from tests.postgres import Postgres, server


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
def database(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Store]:
    """The database of escalation, with its tables."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'e.db'}" if sqlite else servers.postgres().database()
    store = Store(url, "escalation", MIGRATIONS)
    store.migrate()
    yield store
    store.close()
