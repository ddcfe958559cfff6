"""Ingest with webhooks that may call this machine, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Servers
from tests.receiver import Receiver
from tests.unit.webhooks.hooks import Hooks


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes everything until it is told otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    """On SQLite."""
    hooks = Hooks(tmp_path)
    yield hooks
    hooks.close()


@pytest.fixture
def hooks_with(tmp_path: Path) -> Iterator[Callable[..., Hooks]]:
    """On SQLite, with settings of the test's own."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Hooks:
            hooks = Hooks(tmp_path, **settings)
            stack.callback(hooks.close)
            return hooks

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def any_hooks(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Hooks]:
    """On SQLite, and the same test again on PostgreSQL."""
    url = servers.database() if request.param == "postgresql" else ""
    hooks = Hooks(tmp_path, ingest_database_url=url)
    yield hooks
    hooks.close()
