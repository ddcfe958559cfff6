"""Review on each database that it can have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Servers
from tests.unit.review.builders import ReviewService


@pytest.fixture(params=["sqlite", "postgresql"])
def house(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path
) -> Iterator[ReviewService]:
    on_server = request.param == "postgresql"
    url = servers.database() if on_server else ""
    house = ReviewService(tmp_path, database=url)
    yield house
    house.close()
