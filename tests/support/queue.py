"""The pump and the workers of one service, run only when called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.bus import Bus
from shared.events import Event, Stage, decode
from shared.messaging import DeadLetter, Inbox, Lease, Pump
from shared.messaging.inbox import NewEntry, Queue
from shared.runtime import Handler, Worker
from shared.runtime.service import Service, never
from shared.settings import CommonSettings
from shared.storage import Store


class HandWorker:
    """Moves events from the bus to the inbox, and handles them, one at a time."""

    def __init__(
        self,
        name: Stage,
        store: Store,
        bus: Bus,
        handlers: Mapping[type[Event], Handler],
        settings: CommonSettings,
        large: Callable[[Event], bool] = never,
        decisions: Mapping[type[Event], Handler] | None = None,
    ) -> None:
        self.name = name
        self.inbox = Inbox(store, "host/1", settings.bus_lease, settings.retry_delay_most)
        self.pump = Pump(name, self.inbox, bus, handlers, large, decisions or {})
        self.workers = [
            Worker(name, self.inbox, handlers, settings),
            Worker(name, self.inbox, handlers, settings, "large"),
            Worker(name, self.inbox, decisions or {}, settings, "decisions"),
        ]

    @classmethod
    def of(cls, service: Service, settings: CommonSettings | None = None) -> HandWorker:
        """The worker of a built service."""
        return cls(
            service.name,
            service.store,
            service.bus,
            service.handlers,
            settings or service.settings,
            service.large,
            service.decisions,
        )

    def run_once(self, timeout: float = 0.0) -> bool:
        """Handle one event, waiting at most `timeout` seconds. Returns whether there was one."""
        end = time.monotonic() + timeout
        while True:
            while self.pump.run_once():
                pass
            if any(worker.run_once() for worker in self.workers):
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)

    def run_until_idle(self) -> int:
        """Handle events until none is ready. Returns how many were handled."""
        handled = 0
        while self.run_once():
            handled += 1
        return handled


class Listener:
    """Reads all events of a bus, each once."""

    def __init__(self, bus: Bus) -> None:
        self._reader = bus.reader("listener")

    def events(self, timeout: float = 0.0) -> Iterator[Event]:
        """The events since the last call, until none comes for `timeout` seconds."""
        while records := self._reader.read(timeout):
            for record in records:
                if (event := decode(record.message.value)) is not None:
                    yield event


def begin(store: Store, event: Event, owner: str = "", queue: Queue = "main") -> Lease | None:
    """Insert an event into the inbox and claim it, even if other events wait."""
    inbox = Inbox(store, owner)
    value = event.to_json("tests")
    inbox.insert([NewEntry(event.id, queue, event.key, event.type, value)])
    claimed: list[Any] = []
    while (lease := inbox.claim(queue)) is not None:
        claimed.append(lease)
        if lease.event_id == event.id:
            return lease
    return None


def dead_letters(service: Service) -> list[DeadLetter]:
    """The dead letters of a service."""
    return Inbox(service.store).dead_letters()


def unfinished(store: Store) -> int:
    """Number of events that wait in the inbox or are in work."""
    return Inbox(store).unfinished()
