"""The extraction service as a fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.extraction.builders import ExtractionService, write_policy

Start = Callable[..., ExtractionService]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services with a calibration set and rules of the default tenant."""
    running: list[ExtractionService] = []

    def begin(guarantee: bytes | None = None, **rules: Any) -> ExtractionService:
        folder = tmp_path / f"service{len(running)}"
        folder.mkdir(exist_ok=True)
        running.append(ExtractionService(folder, policy=write_policy(folder, **rules)))
        running[-1].specialists.specialist.guarantee = guarantee
        return running[-1]

    yield begin
    for one in running:
        one.close()


@pytest.fixture
def extraction(tmp_path: Path) -> Iterator[ExtractionService]:
    """The service without a policy."""
    extraction = ExtractionService(tmp_path)
    yield extraction
    extraction.close()
