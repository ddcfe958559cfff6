"""Listens to the bus as a separate consumer group, and publishes some events twice.

It reads envelopes as plain JSON, independently of the suite's code.
"""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.bus import Bus, Message, Positions, Reader, open_bus
from shared.errors import SuiteError

TWICE = 0.15
"""The share of events that are delivered twice at once."""
AT_ONCE = 500
"""Events in one call of `publish`, which has to finish within seconds."""


@dataclass(frozen=True)
class SeenEvent:
    """One event at its first appearance."""

    id: str
    type: str
    key: str
    cause: str | None
    data: dict[str, Any]


class Doubler(threading.Thread):
    """Reads every event, in the order of each document, and publishes some of them again."""

    def __init__(self, url: str, lease: float, seed: int) -> None:
        super().__init__(name="doubler", daemon=True)
        self.seen: dict[str, SeenEvent] = {}
        """By id, in the order of arrival."""
        self.positions: dict[str, int] = {}
        """After the last read event."""
        self.doubled = 0
        self.over = threading.Event()
        self._messages: list[Message] = []
        self._url, self._lease = url, lease
        self._bus: Bus | None = None
        self._chance = random.Random(f"doubles {seed}")

    def run(self) -> None:
        """Read events until `over` is set, whatever happens to the broker."""
        reader: Reader | None = None
        while not self.over.is_set():
            try:
                reader = reader or self.bus.reader("chaos", lambda: self.positions)
                for record in reader.read(0.5):
                    self._hear(record.message)
                    self.positions[record.log] = record.offset + 1
            except SuiteError:
                _close(reader)
                reader = None  # its pending work would wait for an answer
                time.sleep(0.5)
        _close(reader)

    @property
    def bus(self) -> Bus:
        """The bus. Raises Unavailable while it is away."""
        if self._bus is None:
            self._bus = open_bus(self._url, lease=self._lease)
        return self._bus

    def again(self) -> int:
        """Publish every event once more. Returns how many."""
        messages = list(self._messages)
        for first in range(0, len(messages), AT_ONCE):
            self.bus.publish(*messages[first : first + AT_ONCE])
        self.doubled += len(messages)
        return len(messages)

    def lag(self, positions: Positions) -> int:
        """The number of events after these positions."""
        return self.bus.lag(positions)

    def close(self) -> None:
        """Stop reading, and close the bus."""
        self.over.set()
        self.join(20)
        if self._bus is not None:
            self._bus.close()

    def _hear(self, message: Message) -> None:
        envelope = json.loads(message.value)
        event = SeenEvent(
            envelope["id"],
            envelope["type"],
            message.key,
            envelope.get("causationid"),
            envelope["data"],
        )
        if event.id in self.seen:
            return
        self.seen[event.id] = event
        self._messages.append(message)
        if self._chance.random() < TWICE:
            self.bus.publish(message)
            self.doubled += 1


def _close(reader: Reader | None) -> None:
    if reader is not None:
        with suppress(SuiteError):
            reader.close()
