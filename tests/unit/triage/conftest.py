"""A whole triage service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.triage.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Triage on SQLite."""
    house = House(tmp_path)
    yield house
    house.close()
