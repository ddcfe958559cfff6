"""Turns at what only a few can do at a time.

Whoever waits for his turn holds one of the threads that answer everybody's requests. So only a few
may wait, and never all of them of one tenant; whoever comes beyond that is to come again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TooManyRequests

WAITING = 8
"""Requests that may wait, beside those whose turn it is."""
OTHERS = 2
"""Places that one tenant leaves to the others."""
RETRY_AFTER = 2
"""Seconds after which to come again."""


class Turns:
    """So many at a time, `WAITING` more that wait, the first of them first.

    Args:
        most: at the same time.
        doing: what they do, for people.
    """

    def __init__(self, most: int, doing: str) -> None:
        self.doing = doing
        self._places = most + WAITING
        self._here: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(most)

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """Wait for a turn, and have it for the time of the block. Raises TooManyRequests."""
        self._enter(tenant)
        try:
            with self._turn:
                yield
        finally:
            self._leave(tenant)

    def _enter(self, tenant: str) -> None:
        with self._lock:
            mine, all_of_them = self._here[tenant], self._here.total()
            if all_of_them >= self._places or mine >= self._places - OTHERS:
                raise TooManyRequests(
                    f"as many requests as may are waiting for {self.doing}: ask again in a moment",
                    retry_after=RETRY_AFTER,
                )
            self._here[tenant] += 1

    def _leave(self, tenant: str) -> None:
        with self._lock:
            self._here[tenant] -= 1
            if not self._here[tenant]:
                del self._here[tenant]
