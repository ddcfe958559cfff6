"""Review on each database that it can have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.review.builders import ReviewService


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[ReviewService]:
    house = ReviewService(tmp_path, database=database_url)
    yield house
    house.close()
