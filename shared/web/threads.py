"""Threads apart from those that answer all other requests.

There are a few dozen of those (anyio's default: 40), and each may be taken by what lasts. What has
to be answered also then, such as a probe, is done in threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

Result = TypeVar("Result")


class OwnThreads:
    """Threads of one purpose.

    Args:
        most: at the same time, for each event loop, as anyio counts its own.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limiter: RunVar[CapacityLimiter] = RunVar("own threads")

    async def run(self, work: Callable[[], Result]) -> Result:
        """What this comes to in one of the threads."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.most)
            self._limiter.set(limiter)
        return await to_thread.run_sync(work, limiter=limiter)
