"""Fixtures: ingest on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain import DocumentReader
from tests.unit.ingest.builders import IngestService, NewIngest


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of every ingest of a test."""
    return {}


@pytest.fixture
def new_ingest(tmp_path: Path, settings: dict[str, Any]) -> Iterator[NewIngest]:
    with ExitStack() as stack:

        def make(reader: DocumentReader | None = None, **more: Any) -> IngestService:
            ingest = IngestService(tmp_path, reader, **{**settings, **more})
            stack.callback(ingest.close)
            return ingest

        yield make


@pytest.fixture
def ingest(new_ingest: NewIngest) -> IngestService:
    return new_ingest()


@pytest.fixture
def any_ingest(new_ingest: NewIngest, database_url: str) -> IngestService:
    return new_ingest(ingest_database_url=database_url)
