"""A whole extraction service with a specialist that knows words."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.extraction_service.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Extraction on SQLite."""
    house = House(tmp_path)
    yield house
    house.close()
