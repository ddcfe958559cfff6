"""The shipped base and specialist, and one taught specialist for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.extraction.teaching import Example, read_examples, teach
from tests import support
from tests.unit.cli.conftest import run
from tests.unit.extraction.teaching.made import NAME, file_of, records

__all__ = ["run"]


@pytest.fixture(scope="session")
def artefacts() -> Path:
    folder = support.artefacts()
    there = any(folder.glob("contract-clauses/*/manifest.json"))
    support.require(there, f"no adapter contract-clauses in {folder}")
    return folder


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    return read_examples(file_of(records()), "examples.jsonl")


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("taught") / "adapters"


@pytest.fixture(scope="session")
def report(artefacts: Path, adapters: Path, examples: list[Example]) -> dict[str, Any]:
    return teach(NAME, examples, artefacts, adapters)
