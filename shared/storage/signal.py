"""Wakes threads of this process that wait for something to change."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

EVERYONE = ""


class Signal:
    """Counts changes by topic. A waiter passes the counts it has seen, so it misses none."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._changed = threading.Condition()

    def seen(self) -> Mapping[str, int]:
        """Return the counts so far."""
        with self._changed:
            return self._counts.copy()

    def notify(self, *topics: str) -> None:
        """Wake threads that wait for one of these topics; without a topic, all threads."""
        with self._changed:
            self._counts.update(topics or (EVERYONE,))
            self._changed.notify_all()

    def wait(self, seen: Mapping[str, int], timeout: float, *topics: str) -> bool:
        """Wait at most `timeout` seconds; returns whether a topic changed since `seen`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(self._counts[t] != seen.get(t, 0) for t in (EVERYONE, *topics)), timeout
            )
