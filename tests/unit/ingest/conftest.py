"""A whole ingest service with a reader of its own in this process, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Servers
from tests.unit.ingest.house import House


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
