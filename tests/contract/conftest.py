"""A database of each kind."""

from pathlib import Path

import pytest


@pytest.fixture
def url(database_url: str, tmp_path: Path) -> str:
    return database_url or f"sqlite:///{tmp_path / 'store.db'}"
