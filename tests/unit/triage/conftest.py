"""A whole triage service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.triage.checks.classifier import BreakClassifier
from tests.support import artefacts
from tests.unit.triage.builders import Triage


@pytest.fixture(scope="session")
def shipped() -> BreakClassifier:
    return BreakClassifier.load(artefacts())


@pytest.fixture
def triage(tmp_path: Path) -> Iterator[Triage]:
    with Triage(tmp_path) as triage:
        yield triage


@pytest.fixture
def any_triage(database_url: str, tmp_path: Path) -> Iterator[Triage]:
    """Triage on SQLite, and the same test again on PostgreSQL."""
    with Triage(tmp_path, triage_database_url=database_url) as triage:
        yield triage
