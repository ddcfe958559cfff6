"""The shipped artefacts, and copies of them that a test may spoil."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.inference import Specialists
from tests import support

NAME = "contract-clauses"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    folder = support.artefacts()
    support.require(any(folder.glob(f"{NAME}/*/manifest.json")), f"no adapter {NAME} in {folder}")
    return folder


@pytest.fixture(scope="session")
def specialists(artefacts: Path) -> Specialists:
    return Specialists(artefacts, threads=2)


@pytest.fixture
def copied(artefacts: Path, tmp_path: Path) -> Path:
    """A copy of one version of the adapter that a test may change; the base is linked."""
    for base in artefacts.glob("base-*"):
        (tmp_path / base.name).symlink_to(base.resolve())
    newest = max(artefacts.glob(f"{NAME}/*/manifest.json")).parent
    return Path(shutil.copytree(newest, tmp_path / NAME / newest.name))


@pytest.fixture
def rewrite(copied: Path) -> Callable[..., None]:
    def change(**fields: Any) -> None:
        path = copied / "manifest.json"
        values = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(values | fields), encoding="utf-8")

    return change
