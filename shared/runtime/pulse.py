"""Heartbeats of the loops in threads: probes notice one that is stuck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from shared.errors import Unavailable

IDLE_SECONDS = 60.0
"""Seconds; an idle loop beats far more often."""
STUCK_SECONDS = 600.0
"""Seconds. A loop stuck this long, and ten times its limit, needs a restart."""


class Heartbeat:
    """The state of one loop. Handling an event may take long; between two events it must beat."""

    def __init__(self, idle: float = IDLE_SECONDS) -> None:
        self.idle = idle
        self.working_since: float | None = None
        """Monotonic seconds; None between two events."""
        self._beat = time.monotonic()

    def beat(self) -> None:
        """The loop begins a round."""
        self._beat = time.monotonic()

    def begin(self) -> None:
        """The loop begins to handle an event."""
        self.working_since = time.monotonic()

    def end(self) -> None:
        """The loop has handled the event, or failed."""
        self.working_since = None
        self.beat()

    @property
    def busy(self) -> bool:
        """Whether it handles an event."""
        return self.working_since is not None

    @property
    def still(self) -> float:
        """Seconds since the last beat; 0 while it handles an event."""
        return 0.0 if self.working_since is not None else time.monotonic() - self._beat


class Loop(threading.Thread):
    """A thread that runs a loop with a heartbeat until `stop` is set."""

    def __init__(
        self,
        name: str,
        run: Callable[[threading.Event], None],
        stop: threading.Event,
        pulse: Heartbeat,
    ) -> None:
        super().__init__(target=run, args=(stop,), name=name, daemon=True)
        self.pulse = pulse


def check_threads(threads: Iterable[threading.Thread]) -> None:
    """Raise Unavailable unless all threads are alive and their loops beat."""
    for thread in threads:
        if not thread.is_alive():
            raise Unavailable(f"{thread.name} ended: start this process again")
        if isinstance(thread, Loop) and thread.pulse.still > thread.pulse.idle:
            raise Unavailable(
                f"{thread.name} has made no progress for {thread.pulse.still:.0f} seconds: restart"
                " this process if that continues"
            )


def check_alive(threads: Sequence[threading.Thread]) -> None:
    """Raise Unavailable if only a restart helps: a thread has ended, or a loop is stuck for long.

    Does not raise while another loop handles an event, since a restart would discard its work.
    """
    for thread in threads:
        if not thread.is_alive():
            raise Unavailable(f"{thread.name} ended: start this process again")
    loops = [thread for thread in threads if isinstance(thread, Loop)]
    if any(loop.pulse.busy for loop in loops):
        return
    for loop in loops:
        if loop.pulse.still > max(10 * loop.pulse.idle, STUCK_SECONDS):
            raise Unavailable(
                f"{loop.name} has made no progress for {loop.pulse.still:.0f} seconds and has no "
                "work: restart this process"
            )


def stuck(threads: Iterable[threading.Thread]) -> int:
    """The number of threads that have ended or whose loop is stuck."""
    return sum(
        not thread.is_alive()
        or (isinstance(thread, Loop) and thread.pulse.still > max(thread.pulse.idle, IDLE_SECONDS))
        for thread in threads
    )
