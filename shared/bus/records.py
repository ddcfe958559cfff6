"""What is written to the topics of the Kafka bus, and how it is read: plain data, no client.

A record of `documents` is the message itself. The others carry it with headers of our own before
its name: `bus-group`, `bus-error` and so on. Headers of a message must not begin with `bus-`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from shared.bus import DeadLetter, Message
from shared.bus.lanes import Entry

_PREFIX = "bus-"
_ERROR_CHARACTERS = 10_000


def retry_topic(topic: str) -> str:
    """Where messages wait that are to be delivered again."""
    return f"{topic}.retry"


def dead_topic(topic: str) -> str:
    """Where messages lie that were given up."""
    return f"{topic}.dead"


@dataclass(frozen=True)
class Record:
    """What is to be written; without a value it is a tombstone."""

    topic: str
    key: str
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
    partition: int | None = None
    """Unless given, it follows from the key."""


class ConsumedRecord(Protocol):
    """What the client gives us."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Letter:
    """A dead letter, and where its message lies in `documents`."""

    letter: DeadLetter
    partition: int
    origin: int


def retry_record(
    topic: str, group: str, partition: int, entry: Entry, not_before: float, error: str
) -> Record:
    """A message that waits until `not_before` (seconds since 1970) for this group."""
    ours = {
        "group": group,
        "attempts": str(entry.attempts),
        "not-before": str(not_before),
        "error": error[:_ERROR_CHARACTERS],
        "origin": str(entry.origin),
    }
    message = entry.message
    headers = dict(message.headers) | _prefixed(ours)
    return Record(retry_topic(topic), message.key, message.value, headers, partition)


def entry_of(record: ConsumedRecord) -> tuple[str, Entry, float]:
    """The group a retry is for, its message, and not before when (seconds since 1970).

    Raises ForeignRecord.
    """
    message = message_of(record)
    try:
        ours = _headers_of(record, ours=True)
        entry = Entry(int(ours["origin"]), message, int(ours["attempts"]))
        return ours["group"], entry, float(ours["not-before"])
    except (KeyError, ValueError) as error:
        raise ForeignRecord(f"a header of ours is missing or wrong ({error})") from None


def dead_record(topic: str, group: str, partition: int, entry: Entry, error: str) -> Record:
    """A message that was given up; the key of the record is the letter's id."""
    ours = {
        "group": group,
        "key": entry.message.key,
        "attempts": str(entry.attempts),
        "error": error[:_ERROR_CHARACTERS],
        "time": datetime.now(UTC).isoformat(),
        "origin": str(entry.origin),
        "partition": str(partition),
    }
    headers = dict(entry.message.headers) | _prefixed(ours)
    return Record(dead_topic(topic), uuid.uuid4().hex, entry.message.value, headers)


def tombstone(topic: str, dead_letter_id: str) -> Record:
    """By it a dead letter is listed no more."""
    return Record(dead_topic(topic), dead_letter_id, None)


def letter_of(record: ConsumedRecord) -> Letter:
    """The dead letter that a record is. Raises ForeignRecord."""
    message = message_of(record)
    try:
        ours = _headers_of(record, ours=True)
        letter = DeadLetter(
            id=message.key,
            group=ours["group"],
            message=replace(message, key=ours["key"]),
            error=ours["error"],
            attempts=int(ours["attempts"]),
            time=datetime.fromisoformat(ours["time"]),
        )
        return Letter(letter, int(ours["partition"]), int(ours["origin"]))
    except (KeyError, ValueError) as error:
        raise ForeignRecord(f"a header of ours is missing or wrong ({error})") from None


class ForeignRecord(Exception):
    """A record that no bus of ours wrote: without key or value, or without our headers."""


def message_of(record: ConsumedRecord) -> Message:
    """The message in a record of any of the topics. Raises ForeignRecord."""
    if record.key is None or record.value is None:
        raise ForeignRecord("it has no key or no value")
    try:
        return _message_of(record)
    except UnicodeDecodeError as error:
        raise ForeignRecord(f"its key or a header is no UTF-8 ({error})") from None


def _message_of(record: ConsumedRecord) -> Message:
    assert record.key is not None
    assert record.value is not None
    return Message(record.key.decode(), record.value, _headers_of(record, ours=False))


def _prefixed(headers: Mapping[str, str]) -> dict[str, str]:
    return {_PREFIX + name: value for name, value in headers.items()}


def _headers_of(record: ConsumedRecord, *, ours: bool) -> dict[str, str]:
    """The headers of a record: our own without their prefix, or those of the message."""
    texts = {name: (value or b"").decode() for name, value in record.headers}
    if ours:
        return {n.removeprefix(_PREFIX): v for n, v in texts.items() if n.startswith(_PREFIX)}
    return {name: value for name, value in texts.items() if not name.startswith(_PREFIX)}
