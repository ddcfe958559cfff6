"""The parts of one service, which its `bootstrap.py` builds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import FastAPI

from shared.blobs import BlobStore
from shared.bus import Bus
from shared.events import Event, Stage
from shared.messaging import UnitOfWork
from shared.runtime.pulse import Heartbeat
from shared.settings import CommonSettings
from shared.storage import Store

if TYPE_CHECKING:
    from shared.runtime.child import Children

Handler = Callable[[Any, UnitOfWork], None]
"""Handles one event: slow work first, then the unit of work, which stores the effect."""


class Job(Protocol):
    """A loop in a thread of the worker process, beside the events."""

    name: str
    pulse: Heartbeat

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, and end soon after it."""


JobMaker = Callable[[str | None], Job]
"""Makes a job. Its argument is a fixed name for leases if no other process is at work, or None."""


def _nothing() -> None:
    return None


def never(_event: Event) -> bool:
    """Return False: no event is large."""
    return False


@dataclass(frozen=True)
class Service:
    """One service with all its parts. Building it opens no port and starts no thread."""

    name: Stage
    settings: CommonSettings
    port: int
    store: Store
    blobs: BlobStore
    bus: Bus
    app: FastAPI
    handlers: Mapping[type[Event], Handler] = field(default_factory=dict)
    large: Callable[[Event], bool] = never
    """Whether an event takes long. A separate worker handles large events, one at a time."""
    decisions: Mapping[type[Event], Handler] = field(default_factory=dict)
    """Handlers of a separate worker that does not wait for earlier events of a document."""
    workers: int | None = None
    """Events that a process handles at the same time; None: as the setting says."""
    in_child: Collection[type[Event]] = ()
    """Events with the text of a document: a child process handles them, if `children` is given."""
    children: Children | None = None
    """The child processes, which other services may share."""
    jobs: Sequence[JobMaker] = ()
    """Jobs of the worker process."""
    let_go: Callable[[], None] = _nothing
    """Ends long requests when the process stops. A signal handler may call it twice."""
    close_parts: Callable[[], None] = _nothing
    """Closes the service's own resources (child processes, models)."""

    def close(self) -> None:
        """Close everything."""
        self.close_parts()
        self.bus.close()
        self.store.close()
