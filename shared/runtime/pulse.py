"""Whether a loop that runs in a thread still turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from shared.errors import Unavailable

IDLE_SECONDS = 60.0
"""A loop that has nothing to do comes round far more often than that."""
STUCK_SECONDS = 600.0
"""A loop that stands still for so long, and for ten times as long as it may, is not waited for."""


class Pulse:
    """What a loop says of itself, and what a probe makes of it.

    The work on one event may take as long as it takes; a loop that stands still between two is
    stuck.
    """

    def __init__(self, idle: float = IDLE_SECONDS) -> None:
        self.idle = idle
        self.working_since: float | None = None
        """By the monotonic clock; None between two events."""
        self.aside = False
        """Whether there is work in hand beside the loop."""
        self._beat = time.monotonic()

    def beat(self) -> None:
        """The loop comes round."""
        self._beat = time.monotonic()

    def begin(self) -> None:
        """The work on an event begins."""
        self.working_since = time.monotonic()

    def end(self) -> None:
        """It ended, one way or the other."""
        self.working_since = None
        self.beat()

    @property
    def busy(self) -> bool:
        """Whether there is work in hand, here or beside."""
        return self.working_since is not None or self.aside

    @property
    def still(self) -> float:
        """For how many seconds the loop has stood still; 0 while it works."""
        return 0.0 if self.working_since is not None else time.monotonic() - self._beat


class Loop(threading.Thread):
    """A thread that runs such a loop until it is told to stop."""

    def __init__(
        self,
        name: str,
        run: Callable[[threading.Event], None],
        stop: threading.Event,
        pulse: Pulse,
    ) -> None:
        super().__init__(target=run, args=(stop,), name=name, daemon=True)
        self.pulse = pulse


def check_threads(threads: Iterable[threading.Thread]) -> None:
    """Raise Unavailable unless all threads live and their loops turn."""
    for thread in threads:
        if not thread.is_alive():
            raise Unavailable(f"{thread.name} ended: start this process again")
        if isinstance(thread, Loop) and thread.pulse.still > thread.pulse.idle:
            raise Unavailable(
                f"{thread.name} has stood still for {thread.pulse.still:.0f} seconds: if that does"
                " not pass, start this process again"
            )


def check_alive(threads: Sequence[threading.Thread]) -> None:
    """Raise Unavailable once only a new start helps: a thread has ended, or a loop has stood still
    for far too long while nothing is in hand in this process. Work takes as long as it takes, and
    is not thrown away for a loop beside it.
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
                f"{loop.name} has stood still for {loop.pulse.still:.0f} seconds, and nothing is "
                "in hand: start this process again"
            )


def stuck(threads: Iterable[threading.Thread]) -> int:
    """How many threads have ended, or have a loop that stands still."""
    return sum(
        not thread.is_alive()
        or (isinstance(thread, Loop) and thread.pulse.still > max(thread.pulse.idle, IDLE_SECONDS))
        for thread in threads
    )
