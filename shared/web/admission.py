"""Limits on what one client, key or tenant may take of a process."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from shared.errors import TooManyRequests, Unavailable

Result = TypeVar("Result")

WINDOW = 60.0
"""Seconds in which a key may make its requests."""
MAX_BUCKETS = 10_000
"""Keys above which full buckets are forgotten."""
MAX_WAITING = 8
"""Requests that may wait for a `ConcurrencyLimit`. Each waits in a thread of the shared pool."""
RESERVED = 2
"""Waiting requests that one tenant leaves to the others."""
CONCURRENCY_RETRY_AFTER = 2
BYTES_RETRY_AFTER = 5
"""Seconds until a refused upload may be tried again."""


@dataclass(frozen=True)
class Quota:
    """Remaining requests of a key."""

    limit: int
    remaining: float
    reset_seconds: float
    """Seconds until the key has all its requests again."""

    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` by draft-ietf-httpapi-ratelimit-headers."""
        return {
            "ratelimit-policy": f'"requests";q={self.limit};w={WINDOW:.0f}',
            "ratelimit": f'"requests";r={math.floor(self.remaining)};'
            f"t={math.ceil(self.reset_seconds)}",
        }


class RateLimit:
    """Requests per key or address and minute: one token bucket for each, in this process.

    Args:
        limit: requests a minute; 0 for no limit.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, tuple[float, float]] = {}

    def is_used_up(self, key_id: str) -> bool:
        """Return whether another request would exceed the limit."""
        return self._used_by(key_id, self.clock(), self.limit / WINDOW) + 1 > self.limit > 0

    def take(self, key_id: str) -> Quota | None:
        """Count one request. Returns None without a limit. Raises TooManyRequests."""
        if not self.limit:
            return None
        now = self.clock()
        per_second = self.limit / WINDOW
        with self._lock:
            used = self._used_by(key_id, now, per_second) + 1
            if used > self.limit:
                seconds = max(1, math.ceil((used - self.limit) / per_second))
                raise TooManyRequests(
                    f"All {self.limit:,} requests a minute are used (setting "
                    f"SMALLPRINT_RATE_REQUESTS). Retry in {seconds} s.",
                    retry_after=seconds,
                    headers=Quota(self.limit, 0, (used - 1) / per_second).headers(),
                )
            self._forget_full_buckets(now, per_second)
            self._used[key_id] = (used, now)
        return Quota(self.limit, self.limit - used, used / per_second)

    def _used_by(self, key_id: str, now: float, per_second: float) -> float:
        used, then = self._used.get(key_id, (0.0, now))
        return max(0.0, used - (now - then) * per_second)

    def _forget_full_buckets(self, now: float, per_second: float) -> None:
        if len(self._used) >= MAX_BUCKETS:
            self._used = {k: v for k, v in self._used.items() if v[0] > (now - v[1]) * per_second}


class ConcurrencyLimit:
    """A few requests at the same time, one of each tenant; `MAX_WAITING` more wait for them.

    Args:
        concurrent: requests at the same time.
        activity: what they do, for messages.
    """

    def __init__(self, concurrent: int, activity: str) -> None:
        self.activity = activity
        self._capacity = concurrent + MAX_WAITING
        self._counts: Counter[str] = Counter()
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(concurrent)

    @contextmanager
    def acquire(self, tenant: str) -> Iterator[None]:
        """Wait for a slot and hold it during the block. Raises TooManyRequests."""
        with self._lock:
            if (
                self._counts.total() >= self._capacity
                or self._counts[tenant] >= self._capacity - RESERVED
            ):
                raise TooManyRequests(
                    f"Too many requests are waiting for {self.activity}. Retry in a moment.",
                    retry_after=CONCURRENCY_RETRY_AFTER,
                )
            self._counts[tenant] += 1
            turn = self._turns.setdefault(tenant, threading.Lock())
        try:
            with turn, self._running:
                yield
        finally:
            with self._lock:
                self._counts[tenant] -= 1
                if not self._counts[tenant]:
                    del self._counts[tenant], self._turns[tenant]


class ByteBudget:
    """Bytes of uploads that have arrived but are not stored yet, in memory and temporary files.

    Args:
        total: bytes of all keys together.
        largest_upload: bytes of one upload, which always fits when no other is under way.
    """

    def __init__(self, total: int, largest_upload: int) -> None:
        self.total = max(total, largest_upload)
        self.per_key = max(self.total // 2, largest_upload)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self, key_id: str) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts further bytes of one upload.

        It raises TooManyRequests above the share of the key, and Unavailable above the total.
        """
        reserved = 0

        def take(size: int) -> None:
            nonlocal reserved
            self._take(key_id, size)
            reserved += size

        try:
            yield take
        finally:
            _subtract(self._counts, self._lock, key_id, reserved)

    def _take(self, key_id: str, size: int) -> None:
        setting = "(setting SMALLPRINT_INGEST_MAX_ARRIVING)"
        with self._lock:
            if self._counts[key_id] + size > self.per_key:
                raise TooManyRequests(
                    f"Unfinished uploads of this key exceed {self.per_key:,} bytes {setting}. "
                    "Retry when another upload has finished.",
                    retry_after=BYTES_RETRY_AFTER,
                )
            if self._counts.total() + size > self.total:
                raise Unavailable(
                    f"Unfinished uploads exceed {self.total:,} bytes {setting}. Retry in a moment."
                )
            self._counts[key_id] += size


def _subtract(counts: Counter[str], lock: threading.Lock, name: str, number: int) -> None:
    with lock:
        counts[name] -= number
        if not counts[name]:
            del counts[name]


class ThreadBudget:
    """Threads of one purpose, apart from the shared pool (anyio's default: 40).

    Slow requests can use up the shared pool, so probes have their own threads.

    Args:
        threads: at the same time, for each event loop.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._limiter: RunVar[CapacityLimiter] = RunVar("own threads")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return the result of `work`, run in one of the threads."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.threads)
            self._limiter.set(limiter)
        return await to_thread.run_sync(work, limiter=limiter)
