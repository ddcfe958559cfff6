"""What kafka-python logs is told where somebody need know it, and nowhere else."""

from __future__ import annotations

import errno
import logging
import sys
import time
import uuid
from contextlib import suppress

import pytest
from kafka.errors import (
    Cancelled,
    KafkaConnectionError,
    NotCoordinatorError,
    RequestTimedOutError,
)

from infra.servers.kafka import Broker, running_broker
from shared.bus import open_bus
from shared.bus.kafka_logs import LOGGERS, hush
from shared.errors import Unavailable
from tests.contract.bus.worlds import message, read, texts

pytestmark = pytest.mark.kafka

CLOSED = OSError(errno.EBADF, "Bad file descriptor")
RESET = OSError(errno.ECONNRESET, "Connection reset by peer")
SLOW = "Task <Task at 0x7f> ran for %.3fs (>0.100s threshold). It is blocking the event loop"


def _of_kafka(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [one for one in caplog.records if one.name.startswith("kafka")]


@pytest.mark.parametrize(
    ("logger", "said", "told"),
    [
        ("kafka.net.connection", ("%s: Connection lost: %s", "conn", KafkaConnectionError()), "-"),
        ("kafka.net.transport", ("%s: Abort (%s)", "conn", KafkaConnectionError(CLOSED)), "-"),
        ("kafka.cluster", ("Metadata refresh: failed %s", Cancelled()), "-"),
        (
            "kafka.coordinator.heartbeat",
            ("Unhandled Heartbeat loop error: %s", RuntimeError("NetworkSelector closed!")),
            "-",
        ),
        ("kafka.net.selector", (SLOW % 0.2,), "-"),
        (
            "kafka.producer.sender",
            ("%s: Got error produce response, retrying: %s", "it", "NotLeaderForPartitionError"),
            "info",
        ),
        (
            "kafka.coordinator",
            (
                "Marking the coordinator dead (node %s) for group %s: %s.",
                1,
                "g",
                NotCoordinatorError(),
            ),
            "info",
        ),
        (
            "kafka.coordinator",
            (
                "Marking the coordinator dead (node %s) for group %s: %s.",
                1,
                "g",
                RequestTimedOutError(),
            ),
            "warning",
        ),
        ("kafka.net.transport", ("%s: Abort (%s)", "conn", KafkaConnectionError(RESET)), "warning"),
        (
            "kafka.net.connection",
            ("%s: Connection lost: %s", "conn", KafkaConnectionError("socket disconnected")),
            "warning",
        ),
        ("kafka.net.selector", (SLOW % 1.5,), "warning"),
        ("kafka.net.transport", ("%s: socket disconnected", "conn"), "warning"),
    ],
)
def test_an_error_of_ones_own_end_is_no_news(
    logger: str, said: tuple[object, ...], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    hush()
    hush()  # once is enough
    caplog.set_level(logging.INFO)
    logging.getLogger(logger).warning(*said)
    found = [(one.levelname.lower(), one.name == logger) for one in caplog.records]
    assert found == {"-": [], "info": [("info", False)], "warning": [("warning", True)]}[told]


@pytest.mark.parametrize(
    ("error", "said", "told"),
    [
        (ValueError("Invalid file descriptor: -1"), "Unhandled exception in task %s:", False),
        (CLOSED, "Unhandled exception in task %s:", False),
        (KeyError("a mistake"), "Unhandled exception in task %s:", True),
        (CLOSED, "IO loop crashed (client_id=%s)", True),
    ],
)
def test_a_task_that_is_torn_off_is_no_news(
    error: Exception, said: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hush()
    caplog.set_level(logging.INFO)
    try:
        raise error
    except type(error):
        logging.getLogger("kafka.net.selector").error(said, "it", exc_info=sys.exc_info())
    assert bool(caplog.records) is told


def test_every_logger_of_the_list_is_one_of_the_client() -> None:
    """A name that the library no longer uses would filter nothing."""
    known = logging.Logger.manager.loggerDict
    assert [name for name in LOGGERS if not isinstance(known.get(name), logging.Logger)] == []


def test_a_normal_start_and_end_warn_of_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        address = f"kafka://{broker.address}?topic=t{uuid.uuid4().hex[:8]}&partitions=2&timeout=60"
        bus = open_bus(address, lease=6.0)
        bus.publish(message("a", number))
        read(bus.reader("g"), 1)
        assert bus.lag({}) == 1
        bus.close()
    told = [one.getMessage() for one in _of_kafka(caplog)]
    assert [one for one in told if " ran for " not in one] == []  # of a machine that is busy


def test_a_broker_that_dies_is_told(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with running_broker(tmp_path_factory.mktemp("kafka")) as mine:
        bus = open_bus(f"kafka://{mine.address}?partitions=1&timeout=5", lease=6.0)
        try:
            bus.publish(message("a", 1))
            reader = bus.reader("g")
            assert texts(reader, 1) == ["1"]
            caplog.clear()
            mine.kill()
            end = time.monotonic() + 60
            while not any("socket disconnected" in one.getMessage() for one in _of_kafka(caplog)):
                assert time.monotonic() < end, "nothing is told of a broker that is away"
                with suppress(Unavailable):
                    reader.read(0.5)
        finally:
            bus.close()
