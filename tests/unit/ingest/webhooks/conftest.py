"""Fixtures: ingest with webhooks to this machine, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_server import Receiver
from tests.unit.ingest.webhooks.builders import NewHooks, WebhookService


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def new_hooks(tmp_path: Path) -> Iterator[NewHooks]:
    with ExitStack() as stack:

        def make(**settings: Any) -> WebhookService:
            hooks = WebhookService(tmp_path, **settings)
            stack.callback(hooks.close)
            return hooks

        yield make


@pytest.fixture
def hooks(new_hooks: NewHooks) -> WebhookService:
    return new_hooks()


@pytest.fixture
def any_hooks(new_hooks: NewHooks, database_url: str) -> WebhookService:
    return new_hooks(ingest_database_url=database_url)
