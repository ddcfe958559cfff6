"""One world a test, on each bus in turn; Kafka is a real broker, started once a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.servers.kafka import Broker, missing, running_broker
from shared.bus import Bus
from tests.contract.bus.worlds import BUSES, World
from tests.support import require


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    require(find_spec("kafka"), "the bus on Kafka needs the package kafka-python")
    lacking = missing()
    require(lacking is None, lacking or "")
    with running_broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(params=BUSES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        world = World("memory", "memory:")
    elif request.param == "sqlite":
        world = World("sqlite", f"sqlite:///{tmp_path}/bus.db")
    else:
        broker: Broker = request.getfixturevalue("broker")
        topic = f"t{uuid.uuid4().hex[:8]}"
        url = f"kafka://{broker.address}?topic={topic}&partitions=4&timeout=60"
        world = World("kafka", url)
    yield world
    world.close()


@pytest.fixture
def bus(world: World) -> Bus:
    return world.open()
