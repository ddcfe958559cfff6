"""The buses under test, and what the tests do with any of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import pytest

from shared.bus import Bus, Message, Reader, Record, open_bus

PATIENCE = 90.0
"""Seconds to wait for what must come; a slow machine needs them, a quick one does not."""

BUSES = ("memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka))
outliving = pytest.mark.parametrize("world", BUSES[1:], indirect=True)
"""For tests that need a bus that outlives its process."""


@dataclass
class World:
    """One fresh bus that can be opened several times."""

    name: str
    url: str
    _opened: list[Bus] = field(default_factory=list)

    def open(self) -> Bus:
        if self.name == "memory" and self._opened:
            return self._opened[0]
        bus = open_bus(self.url, lease=6.0)
        self._opened.append(bus)
        return bus

    def close(self) -> None:
        for bus in self._opened:
            bus.close()


def message(key: str, value: object) -> Message:
    return Message(f"tenant/{key}", str(value).encode())


def read(reader: Reader, count: int) -> list[Record]:
    """The next records, which must come."""
    records: list[Record] = []
    end = time.monotonic() + PATIENCE
    while len(records) < count:
        assert time.monotonic() < end, f"{len(records)} of {count} came"
        records += reader.read(0.2)
    return records


def texts(reader: Reader, count: int) -> list[str]:
    return [record.message.value.decode() for record in read(reader, count)]


def behind(records: Collection[Record]) -> dict[str, int]:
    """The positions behind these records."""
    return {record.log: record.offset + 1 for record in records}


def eventually(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)
