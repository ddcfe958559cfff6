"""Work that takes long, done beside the rest in a thread of its own, one piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shared.runtime.pulse import Pulse

BEAT = 1.0
"""Seconds between two signs of life of a loop that waits."""


class Aside:
    """One place beside a loop, used by the thread of that loop.

    Args:
        pulse: told while the place is taken.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    @property
    def taken(self) -> bool:
        """Whether something is in hand."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, work: Callable[[], None]) -> bool:
        """Do this beside, unless something is in hand there; returns whether it began.

        Raises what the work before this one ended with, if nobody has heard of it yet.
        """
        if self.taken:
            return False
        self.check()
        name = f"{threading.current_thread().name}-aside"
        self._pulse.aside = True
        self._thread = threading.Thread(target=self._do, args=(work,), name=name, daemon=True)
        self._thread.start()
        return True

    def check(self) -> None:
        """Raise what the work in hand ended with, once, if it was an error."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def join(self) -> None:
        """Wait for what is in hand; the loop counts as turning meanwhile."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(BEAT)
            self._pulse.beat()

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - `check` raises it where it is understood
            self._error = error
        finally:
            self._pulse.aside = False
