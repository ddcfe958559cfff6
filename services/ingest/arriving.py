"""Bytes of uploads that have come and are not taken in yet.

They lie in memory and in the folder for temporary files, for as long as a client takes to send the
rest. So they are counted: for the process, and for each key, which leaves room for the others.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import TooManyRequests, Unavailable

RETRY_AFTER = 5
"""Seconds after which to come again."""
_SETTING = "(setting SMALLPRINT_INGEST_MAX_ARRIVING)"


class Arriving:
    """The count of one process.

    Args:
        most: bytes of all keys together.
        one: bytes of one upload; there is always room for it where nothing else comes.
    """

    def __init__(self, most: int, one: int) -> None:
        self.most = max(most, one)
        self.share = max(self.most // 2, one)
        self._here: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, key_id: str) -> Iterator[Callable[[int], None]]:
        """For the time of one upload: what to call with the size of whatever has come of it. That
        raises TooManyRequests where the key has its share, and Unavailable where all is taken.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            self._take(key_id, size)
            taken += size

        try:
            yield take
        finally:
            self._give_back(key_id, taken)

    def _take(self, key_id: str, size: int) -> None:
        with self._lock:
            if self._here[key_id] + size > self.share:
                raise TooManyRequests(
                    f"uploads of this key of more than {self.share:,} bytes have begun and are not"
                    f" ended {_SETTING}: send this one again when another has ended",
                    retry_after=RETRY_AFTER,
                )
            if self._here.total() + size > self.most:
                raise Unavailable(
                    f"there is no room for uploads now: {self.most:,} bytes of them have begun and"
                    f" are not ended {_SETTING}: send it again in a moment"
                )
            self._here[key_id] += size

    def _give_back(self, key_id: str, size: int) -> None:
        with self._lock:
            self._here[key_id] -= size
            if not self._here[key_id]:
                del self._here[key_id]
