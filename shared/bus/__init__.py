"""The event bus: one small interface, and three transports behind it.

    memory:                     tests within one process
    sqlite:///path/to/file      the embedded edition; several processes on one file (?days=7)
    kafka://host:port[,…]       one topic `documents`

A bus publishes messages and delivers them in order. It does not know which events were handled: the
inbox of each service is its queue, and stores the positions of its reader (`shared/messaging`).
`tests/contract/bus` checks on each bus:

* A published message is durable once `publish` returns.
* All messages of one key are in one log, in the order of publishing.
* A reader starts each log at its stored position, or else at the oldest message that remains. On
  Kafka, readers of one group share the logs; on the other buses, each reads everything.
* Messages are removed by age: on SQLite (`?days=7`) only those that every group has read, on Kafka
  by the retention of the topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.errors import SettingsError, SuiteError

__all__ = [
    "MAX_BYTES",
    "Bus",
    "Message",
    "MessageTooLarge",
    "Positions",
    "Reader",
    "Record",
    "file_of",
    "open_bus",
    "refuse_large",
]

MAX_BYTES = 900_000
"""Largest value of a message on every bus, in bytes. By default, a Kafka broker takes 1 MiB with
key and headers."""


class MessageTooLarge(SuiteError):
    """The message is larger than a bus takes: no further try can publish it."""

    code = "message_too_large"


@dataclass(frozen=True)
class Message:
    """A message to publish; `value` is the JSON of one event."""

    key: str
    """`tenant/document id`: order is kept per key."""
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Positions = Mapping[str, int]
"""The offset of the next message to read, by log."""


@dataclass(frozen=True)
class Record:
    """A message and its position."""

    message: Message
    log: str
    """A partition of Kafka (`topic id/3`), or the random name of a file."""
    offset: int


class Reader(Protocol):
    """A member of a group, for one thread. Raises Unavailable if closed or unreachable."""

    def read(self, timeout: float) -> list[Record]:
        """Return the next messages in the order of each log; wait at most `timeout` seconds."""

    def commit(self, positions: Positions) -> None:
        """Store how far the group has read, for pruning and for operators."""

    def close(self) -> None:
        """Leave the group."""


class Bus(Protocol):
    """An event bus for several threads. Its methods raise Unavailable if it can't be reached."""

    def publish(self, *messages: Message) -> None:
        """Return once all messages are durable; after an error some of them may be.

        Raises `MessageTooLarge` for a value of more than MAX_BYTES.
        """

    def reader(self, group: str, positions: Callable[[], Positions] = dict) -> Reader:
        """Join a group. `positions` is called when the reader starts a log."""

    def lag(self, positions: Positions) -> int:
        """The number of messages from these positions on."""

    def keys(self, positions: Positions) -> frozenset[str] | None:
        """Return the keys of the messages from these positions on; None if Kafka has any."""

    def close(self) -> None:
        """Close all connections and all readers of this bus."""


def refuse_large(messages: Iterable[Message]) -> None:
    """Raise MessageTooLarge for a message of more than MAX_BYTES."""
    for message in messages:
        if len(message.value) > MAX_BYTES:
            raise MessageTooLarge(
                f"a message of {message.key} has {len(message.value)} bytes; the limit is"
                f" {MAX_BYTES}: put the data into a blob and refer to it"
            )


def open_bus(url: str, *, lease: float = 30.0) -> Bus:
    """Open the bus of a URL.

    `lease`: seconds after which Kafka gives the partitions of a silent reader to others. Raises
    SettingsError for an invalid URL, and Unavailable if the bus does not answer.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "memory":
        from shared.bus.memory import MemoryBus

        return MemoryBus()
    if parts.scheme == "sqlite":
        from shared.bus.sqlite import SqliteBus

        days = _days_of(url, options)
        return SqliteBus(file_of(url), days=days)
    if parts.scheme == "kafka":
        if find_spec("kafka") is None:
            raise SettingsError(
                f"The bus {_shown(url)} needs the package kafka-python, which is not installed: "
                "install requirements/kafka.txt, or choose another bus (sqlite:///path)."
            )
        from shared.bus.kafka import KafkaBus

        return KafkaBus(parts.netloc, lease=lease, options=options)
    raise SettingsError(
        f"The bus URL {_shown(url)!r} names an unknown bus: it must start with memory:, "
        "sqlite:///path or kafka://host:port."
    )


def _shown(url: str) -> str:
    """Return a URL without user and password."""
    scheme, mark, rest = url.partition("//")
    return scheme + mark + rest.rpartition("@")[2]


def _days_of(url: str, options: Mapping[str, str]) -> float:
    """Return the days for which SQLite keeps messages. Raises SettingsError."""
    try:
        days = float(options.get("days", 7))
    except ValueError:
        days = 0.0
    if not days > 0 or set(options) - {"days"}:
        raise SettingsError(f"The options of the bus URL {url!r} are wrong: ?days=NUMBER, above 0.")
    return days


def file_of(url: str) -> str:
    """Return the file of a SQLite bus. Raises SettingsError if the URL has none.

    `sqlite:///a/b` is the relative path a/b, `sqlite:////a/b` the absolute /a/b.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not name:
        raise SettingsError(
            f"The bus URL {url!r} names no file: sqlite:///relative/path or sqlite:////absolute."
        )
    return name
