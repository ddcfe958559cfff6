"""A circuit breaker: after repeated failures a provider rests (Nygard, "Release It!")."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Counts the failures of one provider in a row. Threads may share one.

    Args:
        failures: number of failures in a row after which the provider rests.
        rest: seconds of the first rest. Each further one without a success in between is twice as
            long.
        most: most seconds of a rest, even if the provider asks for more.
        clock: returns seconds.
    """

    def __init__(
        self,
        failures: int = 5,
        rest: float = 30.0,
        most: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._rest = rest
        self._most = most
        self._clock = clock
        self._guard = threading.Lock()
        self._count = 0
        self._until = 0.0

    def wait(self) -> float:
        """Return seconds until the provider may be asked; 0 for now."""
        with self._guard:
            return max(0.0, self._until - self._clock())

    def succeeded(self) -> None:
        """Record a success. It does not shorten a rest that another call began."""
        with self._guard:
            self._count = 0

    def failed(self, wait: float | None = None) -> None:
        """Record a failure; `wait` is the rest in seconds that the provider asked for."""
        with self._guard:
            self._count += 1
            rests = self._count - self._failures
            rest = self._rest * 2 ** min(rests, 30) if rests >= 0 else 0.0
            rest = min(max(rest, wait or 0.0), self._most)
            self._until = max(self._until, self._clock() + rest) if rest else self._until
