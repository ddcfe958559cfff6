"""Review on each database that it can have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres, server
from tests.unit.review.house import House


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the tests here."""
    with server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Review on SQLite, and the same test again with its rows in PostgreSQL."""
    on_server = request.param == "postgresql"
    url = request.getfixturevalue("postgres").database() if on_server else ""
    house = House(tmp_path, database=url)
    yield house
    house.close()
