"""The parts of one service, put together by its `bootstrap.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import FastAPI

from shared.bus import Bus
from shared.events import Event, Stage
from shared.runtime.pulse import Pulse
from shared.settings import CommonSettings
from shared.storage import BlobStore, Store, UnitOfWork

Handler = Callable[[Any, UnitOfWork], None]
"""Reacts to one event: slow work first, then the unit of work; one left alone passes it over."""


class Job(Protocol):
    """What a service does beside its events: a loop in a thread of its worker process."""

    name: str
    pulse: Pulse

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, and end soon after it."""


JobMaker = Callable[[str | None], Job]
"""Makes a job for one start. It is told the name under which this process holds leases where no
other process can be at work, and None everywhere else."""


def _nothing() -> None:
    return None


def never(_event: Event) -> bool:
    """No event is large."""
    return False


@dataclass(frozen=True)
class Service:
    """One service with real parts. Building it opens no port and starts no thread."""

    name: Stage
    settings: CommonSettings
    port: int
    store: Store
    blobs: BlobStore
    bus: Bus
    app: FastAPI
    handlers: Mapping[type[Event], Handler] = field(default_factory=dict)
    large: Callable[[Event], bool] = never
    """Which events take long: they are worked on beside the others."""
    workers: int | None = None
    """How many events a process works on at once, where that is another number than the setting's:
    work that mostly waits for others takes more.
    """
    jobs: Sequence[JobMaker] = ()
    """Loops that run beside the worker."""
    let_go: Callable[[], None] = _nothing
    """Answers whoever waits for something now: this process is asked to end. It is called from a
    handler of signals, and may come twice.
    """
    close_parts: Callable[[], None] = _nothing
    """Gives back what only this service has (child processes, models)."""

    def close(self) -> None:
        """Give everything back."""
        self.close_parts()
        self.bus.close()
        self.store.close()
