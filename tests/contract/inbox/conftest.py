"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.storage import Store
from tests.support.postgres import Servers

MIGRATIONS = Path(__file__).parents[1] / "store" / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return servers.database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, "extraction", MIGRATIONS)
    store.migrate()
    yield store
    store.close()
