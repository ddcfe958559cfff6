"""How many requests a key may make: one bucket a key, in this process.

A bucket holds a minute's requests and is filled again evenly, so a key may make them at once or
spread them. What is left is said in every answer, in the fields of the IETF's draft
(draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy` is the limit, `RateLimit` what is left
(`r`) and in how many seconds all of it is there again (`t`). A session draws on its key's bucket.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import TooManyRequests

WINDOW = 60.0
"""Seconds."""
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Quota:
    """What is left of a key's requests."""

    most: int
    left: float
    full: float
    """Seconds until nothing is used up any more."""

    def headers(self) -> dict[str, str]:
        """As every answer says it."""
        return {
            "ratelimit-policy": f'"requests";q={self.most};w={WINDOW:.0f}',
            "ratelimit": f'"requests";r={math.floor(self.left)};t={math.ceil(self.full)}',
        }


class RateLimit:
    """Counts the requests of every key.

    Args:
        most: requests a key a minute; 0: as many as it likes.
        clock: seconds that only grow.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> Quota | None:
        """Count one request. None where nothing is limited; raises TooManyRequests."""
        if not self.most:
            return None
        now = self.clock()
        a_second = self.most / WINDOW
        with self._lock:
            used = self._left_of(key_id, now, a_second) + 1
            if used > self.most:
                wait = (used - self.most) / a_second
                quota = Quota(self.most, 0, (used - 1) / a_second)
                raise _too_many(self.most, wait, quota)
            self._forget(now, a_second)
            self._used[key_id] = (used, now)
        return Quota(self.most, self.most - used, used / a_second)

    def _left_of(self, key_id: str, now: float, a_second: float) -> float:
        used, then = self._used.get(key_id, (0.0, now))
        return max(0.0, used - (now - then) * a_second)

    def _forget(self, now: float, a_second: float) -> None:
        """Keys that have all of their requests again need not be remembered."""
        if len(self._used) >= _REMEMBERED:
            kept = {k: v for k, v in self._used.items() if v[0] > (now - v[1]) * a_second}
            self._used = kept


def _too_many(most: int, wait: float, quota: Quota) -> TooManyRequests:
    seconds = max(1, math.ceil(wait))
    return TooManyRequests(
        f"this key has made its {most:,} requests of a minute: ask again in {seconds} s (setting"
        " SMALLPRINT_RATE_REQUESTS)",
        retry_after=seconds,
        headers=quota.headers(),
    )
