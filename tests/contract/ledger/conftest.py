"""Every test in this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.escalation.store import MIGRATIONS
from shared.storage import Store
from tests.support.postgres import Servers


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Store]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'e.db'}" if sqlite else servers.database()
    store = Store(url, "escalation", MIGRATIONS)
    store.migrate()
    yield store
    store.close()
