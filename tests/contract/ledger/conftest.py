"""Every test in this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.escalation.store import MIGRATIONS
from shared.storage import Store


@pytest.fixture
def database(url: str) -> Iterator[Store]:
    store = Store(url, "escalation", MIGRATIONS)
    store.migrate()
    yield store
    store.close()
