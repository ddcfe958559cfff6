"""Log records of kafka-python are shown only if an operator needs them."""

from __future__ import annotations

import errno
import logging
import sys

import pytest
from kafka.coordinator.base import Generation
from kafka.errors import Cancelled, KafkaConnectionError, NotCoordinatorError, RequestTimedOutError

from shared.bus.kafka_logs import LOGGERS, hush

pytestmark = pytest.mark.kafka

CLOSED = OSError(errno.EBADF, "Bad file descriptor")
RESET = OSError(errno.ECONNRESET, "Connection reset by peer")
SLOW = "Task <Task at 0x7f> ran for %.3fs (>0.100s threshold). It is blocking the event loop"


@pytest.mark.parametrize(
    ("logger", "record", "level"),
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
        (
            "kafka.coordinator",
            ("Successfully joined group %s %s", "g", Generation(1, "member", "range")),
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
    logger: str, record: tuple[object, ...], level: str, caplog: pytest.LogCaptureFixture
) -> None:
    hush()
    hush()  # once is enough
    caplog.set_level(logging.INFO)
    logging.getLogger(logger).warning(*record)
    found = [(one.levelname.lower(), one.name == logger) for one in caplog.records]
    assert found == {"-": [], "info": [("info", False)], "warning": [("warning", True)]}[level]


@pytest.mark.parametrize(
    ("error", "message", "logged"),
    [
        (ValueError("Invalid file descriptor: -1"), "Unhandled exception in task %s:", False),
        (CLOSED, "Unhandled exception in task %s:", False),
        (KeyError("a mistake"), "Unhandled exception in task %s:", True),
        (CLOSED, "IO loop crashed (client_id=%s)", True),
    ],
)
def test_a_task_that_is_torn_off_is_no_news(
    error: Exception, message: str, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hush()
    caplog.set_level(logging.INFO)
    try:
        raise error
    except type(error):
        logging.getLogger("kafka.net.selector").error(message, "it", exc_info=sys.exc_info())
    assert bool(caplog.records) is logged


def test_every_logger_of_the_list_is_one_of_the_client() -> None:
    """A name that the library no longer uses would filter nothing."""
    known = logging.Logger.manager.loggerDict
    assert [name for name in LOGGERS if not isinstance(known.get(name), logging.Logger)] == []
