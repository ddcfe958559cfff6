"""The bus for tests within one process, in memory."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from shared.bus import Message, Positions, Record, refuse_large
from shared.errors import Unavailable


class MemoryBus:
    """One log in a list."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._log: list[Message] = []
        self._name = f"memory {uuid.uuid4().hex}"
        self._closed = False

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        with self._changed:
            self._check_open()
            self._log.extend(messages)
            self._changed.notify_all()

    def reader(
        self,
        group: str,  # noqa: ARG002 - of the protocol
        positions: Callable[[], Positions] = dict,
    ) -> MemoryReader:
        with self._changed:
            self._check_open()
        return MemoryReader(self, positions().get(self._name, 0))

    def lag(self, positions: Positions) -> int:
        return len(self._log) - positions.get(self._name, 0)

    def keys(self, positions: Positions) -> frozenset[str]:
        return frozenset(message.key for message in self._log[positions.get(self._name, 0) :])

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(self, position: int, timeout: float) -> list[Record]:
        """The messages from a position on."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._log) > position, timeout)
            self._check_open()
            new = enumerate(self._log[position:], position)
            return [Record(message, self._name, offset) for offset, message in new]

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This bus has been closed.")


class MemoryReader:
    """Reads the log."""

    def __init__(self, bus: MemoryBus, position: int) -> None:
        self._bus = bus
        self._position = position
        self._closed = False

    def read(self, timeout: float) -> list[Record]:
        if self._closed:
            raise Unavailable("This reader has been closed.")
        records = self._bus.read(self._position, timeout)
        self._position += len(records)
        return records

    def commit(self, positions: Positions) -> None:
        """Do nothing: no message is ever removed."""

    def close(self) -> None:
        self._closed = True
