"""A circuit breaker: after repeated failures a provider rests (Nygard, "Release It!")."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Counts the failures of one provider in a row. Threads may share one.

    Args:
        failures: in a row after which the provider rests.
        rest: seconds of the first rest; each one after it, with no success between, is twice as
            long.
        most: seconds of the longest rest, also of one that the provider asks for.
        clock: of seconds.
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
        """Seconds for which it rests still; 0 if it may be asked."""
        with self._guard:
            return max(0.0, self._until - self._clock())

    def succeeded(self) -> None:
        """It answered. A rest that another call began is over by time alone."""
        with self._guard:
            self._count = 0

    def failed(self, wait: float | None = None) -> None:
        """It did not; `wait` is the rest in seconds that it asked for itself."""
        with self._guard:
            self._count += 1
            rests = self._count - self._failures
            rest = self._rest * 2 ** min(rests, 30) if rests >= 0 else 0.0
            rest = min(max(rest, wait or 0.0), self._most)
            self._until = max(self._until, self._clock() + rest) if rest else self._until
