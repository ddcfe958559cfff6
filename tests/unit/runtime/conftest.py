"""A worker with a real store, on the memory bus and on the SQLite bus."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from shared.bus import Bus, open_bus
from shared.events import Event
from shared.messaging import Inbox
from shared.runtime import Handler
from shared.settings import CommonSettings
from shared.storage import Store
from tests.support.queue import HandWorker

MIGRATIONS = Path(__file__).parents[2] / "contract" / "store" / "migrations"

MakeWorker = Callable[[Mapping[type[Event], Handler]], HandWorker]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", "extraction", MIGRATIONS)
    store.migrate()
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'bus.db'}"
    bus = open_bus(url)
    yield bus
    bus.close()


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return Inbox(store)


@pytest.fixture
def settings() -> CommonSettings:
    """Few tries, and no long waits between them."""
    return CommonSettings(attempts=3, crashes=2, retry_delay=0.01, retry_delay_most=0.02)


@pytest.fixture
def make_worker(store: Store, bus: Bus, settings: CommonSettings) -> MakeWorker:
    return lambda handlers: HandWorker("extraction", store, bus, handlers, settings)
