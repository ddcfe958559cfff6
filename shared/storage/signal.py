"""Wakes threads of this process that wait for something to change."""

from __future__ import annotations

import threading


class Signal:
    """Counts changes. A waiter passes the last count it has seen, so it misses none."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def notify(self) -> None:
        """Wake all waiting threads."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> bool:
        """Wait at most `timeout` seconds; returns whether anything changed since `seen`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, timeout)
