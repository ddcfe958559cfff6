"""Every place is tried on SQLite, and with its rows in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.bus.conftest import broker
from tests.support.postgres import Servers
from tests.system.operations.suite import NAMES, Suite, environment

__all__ = ["broker"]


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(
    request: pytest.FixtureRequest, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The URLs of the services' databases, also in the environment; none: files of the folder."""
    if request.param == "sqlite":
        return {}
    urls = {name: servers.database() for name in NAMES}
    environment(monkeypatch, urls)
    return urls


@pytest.fixture
def suite(databases: dict[str, str], tmp_path: Path) -> Iterator[Suite]:
    suite = Suite(tmp_path / "data")
    yield suite
    suite.close()
