"""The shipped base and specialist, and what was taught on it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.extraction.teaching import Example, read_examples, teach
from tests import support
from tests.unit.teaching.made import NAME, file_of, records


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder of base and shipped adapters."""
    folder = support.artefacts()
    there = any(folder.glob("contract-clauses/*/manifest.json"))
    support.require(there, f"no adapter contract-clauses in {folder}")
    return folder


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """Two dozen examples of our own making."""
    return read_examples(file_of(records()), "examples.jsonl")


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for taught adapters."""
    return tmp_path_factory.mktemp("taught") / "adapters"


@pytest.fixture(scope="session")
def report(artefacts: Path, adapters: Path, examples: list[Example]) -> dict[str, Any]:
    """The report on what was taught into that folder."""
    return teach(NAME, examples, artefacts, adapters)
