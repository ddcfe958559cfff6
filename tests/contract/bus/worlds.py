"""The buses under test, and what the tests do with any of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.bus import Bus, Consumer, Delivery, Message, open_bus

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 90.0
"""Seconds to wait for what must come; a slow machine needs them, a quick one does not."""

BUSES = ("memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka))
outliving = pytest.mark.parametrize("world", BUSES[1:], indirect=True)
"""For what concerns only buses that outlive their process."""


@dataclass
class World:
    """One fresh bus, that can be opened several times, here and in other processes."""

    name: str
    url: str
    lease: float
    """Seconds."""

    def __post_init__(self) -> None:
        self._opened: list[Bus] = []
        self._processes: list[subprocess.Popen[str]] = []

    def open(self) -> Bus:
        """The bus; in memory there is only one."""
        if self.name == "memory" and self._opened:
            return self._opened[0]
        bus = open_bus(self.url, lease=self.lease)
        self._opened.append(bus)
        return bus

    def process(self, task: str, group: str, *arguments: str) -> subprocess.Popen[str]:
        """A process of its own that does a task of member.py; each line it prints is an event."""
        script = str(Path(__file__).with_name("member.py"))
        process = subprocess.Popen(
            [sys.executable, script, task, self.url, str(self.lease), group, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        for bus in self._opened:
            bus.close()


def message(key: str, value: object) -> Message:
    return Message(f"tenant/{key}", str(value).encode())


def text(delivery: Delivery) -> str:
    return delivery.message.value.decode()


def receive(consumer: Consumer) -> Delivery:
    """The next delivery, which must come."""
    delivery = consumer.receive(PATIENCE)
    assert delivery is not None, f"nothing was delivered within {PATIENCE:.0f} s"
    return delivery


def deliveries(consumer: Consumer, count: int) -> Iterator[Delivery]:
    """Acknowledge so many deliveries, one after the other."""
    for _ in range(count):
        delivery = receive(consumer)
        consumer.ack(delivery)
        yield delivery


def texts(consumer: Consumer, count: int) -> list[str]:
    return [text(delivery) for delivery in deliveries(consumer, count)]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something becomes true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)


def in_thread(work: Callable[[], None]) -> None:
    """Run something in a thread of its own to its end; its exception is ours."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
