"""A review service for every test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.review.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Review with its own folder."""
    house = House(tmp_path, bus="memory:")
    yield house
    house.close()
