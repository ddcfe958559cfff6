"""A whole triage service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Servers
from tests.unit.triage.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Triage on SQLite."""
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_house(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[House]:
    """Triage on SQLite, and the same test again on PostgreSQL."""
    url = servers.database() if request.param == "postgresql" else ""
    house = House(tmp_path, triage_database_url=url)
    yield house
    house.close()
