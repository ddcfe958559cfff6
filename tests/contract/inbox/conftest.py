"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.storage import Store

MIGRATIONS = Path(__file__).parents[1] / "store" / "migrations"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, "extraction", MIGRATIONS)
    store.migrate()
    yield store
    store.close()
