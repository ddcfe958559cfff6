"""Keep harmless errors and warnings of kafka-python out of the log.

Seen in real runs of 3.0, at a normal start, a normal end, and on a busy machine:

* Its own end: closing a client cancels its tasks, and each logs an error (a socket closed on this
  side, `Cancelled`, a connection in progress). Errors from the other side differ, and stay.
* A broker that is not (yet) the coordinator of a group or the leader of a partition. The client
  asks for the right one, and tries again.
* A step of its loop that took more than 0.1 s: the machine is busy. Longer than a second stays.

Such a record goes to our own log instead: the second at the level INFO, the others at DEBUG.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator

log = logging.getLogger(__name__)

SLOW_SECONDS = 1.0
"""Shorter steps of the client's loop are harmless. A group drops a member after at least 6 s
without a heartbeat, see `SMALLPRINT_BUS_LEASE`."""
LOGGERS = (
    "kafka.cluster",
    "kafka.consumer.fetcher",
    "kafka.coordinator",
    "kafka.coordinator.consumer",
    "kafka.coordinator.heartbeat",
    "kafka.net.connection",
    "kafka.net.manager",
    "kafka.net.selector",
    "kafka.net.transport",
    "kafka.producer.sender",
)
_SLOW = re.compile(r"Task .* ran for ([\d.]+)s \(>[\d.]+s threshold\)")
_CLOSED = re.compile(r"Invalid file (descriptor: -1|object: None)$")
_ENDED = ("NetworkSelector closed!", "Event loop stopped")
_MOVED = ("NotCoordinatorError", "NotLeaderForPartitionError")
_CRASH = "IO loop crashed"
"""An error that ends the client's loop during use always stays in the log."""


class NoNews(logging.Filter):
    """Passes records that need attention."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged unchanged."""
        level = _level_of(record)
        if level is None:
            return True
        log.log(level, "%s: %s", record.name, record.getMessage())
        return False


def hush() -> None:
    """Filter the logs of kafka-python in this process; repeating it has no effect."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, NoNews) for one in logger.filters):
            logger.addFilter(NoNews())


def _level_of(record: logging.LogRecord) -> int | None:
    """The level of a harmless record, or None."""
    if str(record.msg).startswith(_CRASH):
        return None
    errors = list(_errors(record))
    if _is_slow_step(record) or any(_is_own_end(one) for one in errors):
        return logging.DEBUG
    moved = any(_is(one, name) for one in errors for name in _MOVED)
    # Sometimes only its name is logged.
    moved = moved or any(isinstance(one, str) and one in _MOVED for one in record.args or ())
    return logging.INFO if moved else None


def _is_slow_step(record: logging.LogRecord) -> bool:
    found = _SLOW.match(str(record.msg)) if record.name == "kafka.net.selector" else None
    return found is not None and float(found[1]) < SLOW_SECONDS


def _errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """Yield the errors in a record, and those that they wrap."""
    errors = [one for one in record.args or () if isinstance(one, BaseException)]
    if record.exc_info and record.exc_info[1] is not None:
        errors.append(record.exc_info[1])
    for error in errors:
        yield error
        yield from (one for one in error.args if isinstance(one, BaseException))


def _is(error: BaseException, name: str) -> bool:
    return type(error).__module__ == "kafka.errors" and type(error).__name__ == name


def _is_own_end(error: BaseException) -> bool:
    if _is(error, "Cancelled") or (_is(error, "KafkaConnectionError") and not error.args):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.EBADF
    if isinstance(error, ValueError):
        return _CLOSED.match(str(error)) is not None
    return isinstance(error, RuntimeError) and str(error) in _ENDED
