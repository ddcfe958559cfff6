"""A review service for every test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.review.builders import ReviewService


@pytest.fixture
def policy() -> str:
    """The text of the policy file; empty for none."""
    return ""


@pytest.fixture
def review(tmp_path: Path, policy: str) -> Iterator[ReviewService]:
    """Review with its own folder."""
    review = ReviewService(tmp_path, bus="memory:", policy=policy)
    yield review
    review.close()
