"""The bus for tests within one process: nothing outlives it."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from bisect import insort
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.bus import DeadLetter, Delivery, Message, Pending, refuse_large
from shared.bus.turns import Turns, tenant_of
from shared.errors import NotFound, Unavailable


@dataclass(order=True)
class _Entry:
    """A message as one group sees it."""

    number: int
    message: Message = field(compare=False)
    attempts: int = field(default=0, compare=False)
    not_before: float = field(default=0.0, compare=False)
    error: str = field(default="", compare=False)
    """Of the last attempt that failed."""


@dataclass
class _Lane:
    """The unfinished messages of one key, oldest first, and who works on one of them."""

    entries: list[_Entry] = field(default_factory=list)
    held: _Entry | None = None
    holder: weakref.ref[MemoryConsumer] | None = None

    def free(self) -> bool:
        if self.held is None:
            return True
        consumer = self.holder() if self.holder else None
        return consumer is None or not consumer.alive

    @property
    def tenant(self) -> str:
        return tenant_of(self.entries[0].message.key)

    def ready_at(self) -> float:
        return self.entries[0].not_before


class MemoryBus:
    """A log, and per group the lanes of what is unfinished."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._log: list[Message] = []
        self._groups: dict[str, dict[str, _Lane]] = {}
        self._turns: dict[str, Turns] = defaultdict(Turns)
        self._dead: dict[str, tuple[DeadLetter, _Entry]] = {}
        self._closed = False

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        with self._changed:
            self._check_open()
            for message in messages:
                self._log.append(message)
                for lanes in self._groups.values():
                    _add(lanes, _Entry(len(self._log), message))
            self._changed.notify_all()

    def consumer(self, group: str) -> MemoryConsumer:
        with self._changed:
            self._check_open()
            if group not in self._groups:
                lanes = self._groups[group] = {}
                for number, message in enumerate(self._log, start=1):
                    _add(lanes, _Entry(number, message))
        return MemoryConsumer(self, group)

    def dead_letters(self, group: str | None = None) -> list[DeadLetter]:
        with self._changed:
            letters = [letter for letter, _ in self._dead.values()]
        return [letter for letter in letters if group in (None, letter.group)]

    def replay(self, dead_letter_id: str) -> None:
        with self._changed:
            self._check_open()
            letter, entry = self._take_dead(dead_letter_id)
            _add(self._groups[letter.group], _Entry(entry.number, entry.message))
            self._changed.notify_all()

    def drop(self, dead_letter_id: str) -> None:
        with self._changed:
            self._take_dead(dead_letter_id)

    def lag(self, group: str) -> int:
        with self._changed:
            return self._lag(group)

    def pending(self, groups: Collection[str]) -> Pending:
        with self._changed:
            every = {message.key for message in self._log}  # a new group begins with the first
            keys = frozenset(key for group in groups for key in self._groups.get(group, every))
            return Pending({group: self._lag(group) for group in groups}, keys)

    def _lag(self, group: str) -> int:
        if group not in self._groups:
            return len(self._log)
        return sum(len(lane.entries) for lane in self._groups[group].values())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take_dead(self, dead_letter_id: str) -> tuple[DeadLetter, _Entry]:
        if dead_letter_id not in self._dead:
            raise NotFound(f"There is no dead letter {dead_letter_id}.")
        return self._dead.pop(dead_letter_id)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This bus has been closed.")

    # What the consumers do. Each call holds the lock.

    def _receive(self, consumer: MemoryConsumer, timeout: float) -> Delivery | None:
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                self._check_open()
                now = time.monotonic()
                lane = self._next_lane(consumer.group, now)
                if lane is not None:
                    self._turns[consumer.group].take(lane.tenant)
                    return _hold(lane, consumer)
                if now >= end:
                    return None
                # A delay that runs out and a consumer that dies notify nobody: look again.
                self._changed.wait(min(end - now, 0.05))

    def _next_lane(self, group: str, now: float) -> _Lane | None:
        lanes = (lane for lane in self._groups[group].values() if lane.free())
        ready = [lane for lane in lanes if lane.ready_at() <= now]
        turns = self._turns[group]
        return min(
            ready,
            key=lambda lane: (turns.of(lane.tenant), lane.ready_at(), lane.entries[0]),
            default=None,
        )

    def _finish(self, consumer: MemoryConsumer, delivery: Delivery) -> _Entry | None:
        """Take the delivery from the consumer: its entry, or None if it is no longer his."""
        lane = self._lane_of(consumer, delivery)
        if lane is None or lane.held is None:
            return None
        entry, lane.held, lane.holder = lane.held, None, None
        self._changed.notify_all()
        return entry

    def _lane_of(self, consumer: MemoryConsumer, delivery: Delivery) -> _Lane | None:
        lane = self._groups[consumer.group].get(delivery.message.key)
        if lane is None or lane.held is not delivery.token or lane.holder is None:
            return None
        return lane if consumer.alive and lane.holder() is consumer else None

    def _remove(self, group: str, entry: _Entry) -> None:
        lanes = self._groups[group]
        lane = lanes[entry.message.key]
        lane.entries.remove(entry)
        if not lane.entries:
            del lanes[entry.message.key]

    def _bury(self, group: str, entry: _Entry, error: str) -> None:
        letter = DeadLetter(
            id=uuid.uuid4().hex,
            group=group,
            message=entry.message,
            error=error,
            attempts=entry.attempts,
            time=datetime.now(UTC),
        )
        self._dead[letter.id] = (letter, entry)


class MemoryConsumer:
    """A member of a group; dead once its thread has ended or nobody refers to it."""

    def __init__(self, bus: MemoryBus, group: str) -> None:
        self.group = group
        self._bus = bus
        self._thread = threading.current_thread()
        self._closed = False

    @property
    def alive(self) -> bool:
        return not self._closed and self._thread.is_alive()

    def receive(self, timeout: float) -> Delivery | None:
        if self._closed:
            raise Unavailable("This consumer has been closed.")
        self._thread = threading.current_thread()
        return self._bus._receive(self, timeout)

    def ack(self, delivery: Delivery) -> None:
        with self._bus._changed:
            if entry := self._bus._finish(self, delivery):
                self._bus._remove(self.group, entry)

    def retry(self, delivery: Delivery, delay: float, error: str) -> None:
        with self._bus._changed:
            if entry := self._bus._finish(self, delivery):
                entry.not_before, entry.error = time.monotonic() + delay, error

    def later(self, delivery: Delivery, delay: float) -> None:
        with self._bus._changed:
            if entry := self._bus._finish(self, delivery):
                entry.not_before = time.monotonic() + delay
                entry.attempts -= 1

    def dead(self, delivery: Delivery, error: str) -> bool:
        with self._bus._changed:
            if entry := self._bus._finish(self, delivery):
                self._bus._remove(self.group, entry)
                self._bus._bury(self.group, entry, error)
            return entry is not None

    def keep(self, delivery: Delivery) -> None:
        """Nothing to do: a delivery is kept for as long as the thread lives."""

    def close(self) -> None:
        with self._bus._changed:
            self._closed = True
            self._bus._changed.notify_all()


def _add(lanes: dict[str, _Lane], entry: _Entry) -> None:
    insort(lanes.setdefault(entry.message.key, _Lane()).entries, entry)


def _hold(lane: _Lane, consumer: MemoryConsumer) -> Delivery:
    entry = lane.entries[0]
    entry.attempts += 1
    lane.held, lane.holder = entry, weakref.ref(consumer)
    return Delivery(entry.message, entry.attempts, token=entry)
