"""The event bus: one small interface, and three buses behind it.

    memory:                     tests within one process
    sqlite:///path/to/file      the embedded edition; several processes on one file (?days=7)
    kafka://host:port[,…]       one topic `documents`, `documents.retry`, `documents.dead` beside it

What every bus promises, and `tests/contract/bus` checks on each:

* A published message is durable once `publish` returns.
* Every group receives every message at least once; a new group starts at the beginning, or at
  what remains where old messages are removed: on SQLite (`?days=7`) those that all groups of that
  time had finished with, on Kafka by the retention of the topic.
* The messages of one key are worked on one at a time and in the order of publishing, whatever
  is retried in between. Different keys do not wait for each other.
* Among the keys that have something to deliver, tenants take turns: a tenant with one document
  does not wait for the ten thousand of another. On Kafka that holds for what a member has read of
  its partitions, see kafka.py.
* What a consumer held when it died is delivered again.
* A dead letter keeps the message, its group, the error, the attempts and the time, and can be
  replayed to that group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.errors import SettingsError, SuiteError

__all__ = [
    "MAX_BYTES",
    "Bus",
    "Consumer",
    "DeadLetter",
    "Delivery",
    "Message",
    "MessageTooLarge",
    "Pending",
    "file_of",
    "open_bus",
    "refuse_large",
]

MAX_BYTES = 900_000
"""The largest value of a message, on every bus: a broker of Kafka takes 1 MiB with everything that
goes with it, unless set otherwise."""


class MessageTooLarge(SuiteError):
    """The message is larger than a bus takes: no further try can publish it."""

    code = "message_too_large"


@dataclass(frozen=True)
class Message:
    """What is published: `value` is the JSON of one event."""

    key: str
    """`tenant/document id`: order is kept per key."""
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """One message in the hands of one consumer, until it is acked, retried or given up."""

    message: Message
    attempt: int
    """1 at the first delivery the bus knows of; a replay starts again at 1."""
    token: Any = field(repr=False)
    """The bus's own handle."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that its group has given up."""

    id: str
    group: str
    message: Message
    error: str
    attempts: int
    time: datetime
    """When it was given up, in UTC."""


@dataclass(frozen=True)
class Pending:
    """What groups have yet to acknowledge."""

    messages: Mapping[str, int]
    """How many, by group: a message that two groups have yet to acknowledge is two."""
    keys: frozenset[str] | None
    """Of all of them; None where that can't be told while there are any (on Kafka)."""


class Consumer(Protocol):
    """One member of one group. One thread receives; any may say what became of a delivery.

    It may hold several deliveries at once; they are of different keys. While the thread that
    receives is alive, what it holds is kept for it in the background, however long the work
    takes. Once the consumer has lost a delivery all the same (its process was stopped for
    longer than the lease, say), `ack`, `retry`, `later` and `dead` of that delivery do nothing:
    another member has it.
    """

    def receive(self, timeout: float) -> Delivery | None:
        """Wait at most `timeout` seconds for a message whose key nobody is working on."""

    def ack(self, delivery: Delivery) -> None:
        """The work is done: never deliver it to this group again."""

    def retry(self, delivery: Delivery, delay: float, error: str) -> None:
        """Deliver again after `delay` seconds; until then the same key waits, others go on."""

    def later(self, delivery: Delivery, delay: float) -> None:
        """Nothing was tried: deliver again after `delay` seconds, as the same attempt. Nothing is
        written on Kafka; who takes over from a member that has ended may deliver at once."""

    def dead(self, delivery: Delivery, error: str) -> bool:
        """Give the message up: it becomes a dead letter, and its key goes on. Returns whether it
        did: nothing is written of a delivery that was lost."""

    def keep(self, delivery: Delivery) -> None:
        """Say that the work goes on. The bus also does so itself, in the background."""

    def close(self) -> None:
        """Leave the group; what is not acked is delivered to others promptly."""


class Bus(Protocol):
    """Safe to use from several threads. Everything raises `Unavailable` while out of reach."""

    def publish(self, *messages: Message) -> None:
        """Return once all messages are durable; after an error some of them may be.

        Raises `MessageTooLarge` for a value of more than MAX_BYTES.
        """

    def consumer(self, group: str) -> Consumer:
        """Join a group as a new member; a new group starts with the oldest message there is."""

    def dead_letters(self, group: str | None = None) -> list[DeadLetter]:
        """What has been given up and neither replayed nor dropped, oldest first."""

    def replay(self, dead_letter_id: str) -> None:
        """Deliver to its group once more; `NotFound` if no such dead letter is listed."""

    def drop(self, dead_letter_id: str) -> None:
        """Forget a dead letter; `NotFound` if no such dead letter is listed."""

    def lag(self, group: str) -> int:
        """How many messages the group has yet to acknowledge; dead letters don't count."""

    def pending(self, groups: Collection[str]) -> Pending:
        """What these groups have yet to acknowledge; dead letters don't count."""

    def close(self) -> None:
        """Close the consumers made here, and let go of everything."""


def refuse_large(messages: Iterable[Message]) -> None:
    """What every bus asks before it takes messages. Raises MessageTooLarge."""
    for message in messages:
        if message.value is not None and len(message.value) > MAX_BYTES:
            raise MessageTooLarge(
                f"a message of {message.key} has {len(message.value)} bytes; a bus takes"
                f" {MAX_BYTES}: put what is large into a blob, and name it in the message"
            )


def open_bus(url: str, *, lease: float = 30.0) -> Bus:
    """Open the bus that a URL names.

    `lease`: seconds after which the deliveries of a consumer that gives no sign of life go to
    others (on Kafka the session timeout of the group). Raises `SettingsError` for a URL that
    names no bus, and `Unavailable` for one that does not answer.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "memory":
        from shared.bus.memory import MemoryBus

        return MemoryBus()
    if parts.scheme == "sqlite":
        from shared.bus.sqlite import SqliteBus

        days = _days_of(url, options)
        return SqliteBus(_file_of(url, parts.netloc, parts.path), lease=lease, days=days)
    if parts.scheme == "kafka":
        if find_spec("kafka") is None:
            raise SettingsError(
                f"The bus {_shown(url)} needs the package kafka-python, which is not installed: "
                "install requirements/kafka.txt, or choose another bus (sqlite:///path)."
            )
        from shared.bus.kafka import KafkaBus

        return KafkaBus(parts.netloc, lease=lease, options=options)
    raise SettingsError(
        f"The bus URL {_shown(url)!r} names no bus we know: it starts with memory:, "
        "sqlite:///path or kafka://host:port."
    )


def _shown(url: str) -> str:
    """A URL without the user and password that it may have."""
    scheme, mark, rest = url.partition("//")
    return scheme + mark + rest.rpartition("@")[2]


def _days_of(url: str, options: Mapping[str, str]) -> float:
    """How long messages are kept on SQLite after all groups have finished with them."""
    try:
        days = float(options.get("days", 7))
    except ValueError:
        days = 0.0
    if not days > 0 or set(options) - {"days"}:
        raise SettingsError(f"The options of the bus URL {url!r} are wrong: ?days=NUMBER, above 0.")
    return days


def file_of(url: str) -> str:
    """The file of the bus on SQLite that a URL names. Raises SettingsError if it names none."""
    parts = urlsplit(url)
    return _file_of(url, parts.netloc, parts.path)


def _file_of(url: str, host: str, path: str) -> str:
    """`sqlite:///a/b` is the relative path a/b, `sqlite:////a/b` the absolute /a/b."""
    name = unquote(path.removeprefix("/"))
    if host or not name:
        raise SettingsError(
            f"The bus URL {url!r} names no file: sqlite:///relative/path or sqlite:////absolute."
        )
    return name
