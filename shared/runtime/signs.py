"""Signs of life of the work in hand, by which people tell long work from that of a dead process.

A try is on record from its beginning (`begin_try`), and its process may die in the midst of it: the
record says so only once another takes the event, after the lease. So whoever works says every few
seconds that it still does. Short work ends before it has to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import SuiteError
from shared.storage import Store, note_alive

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two signs of life."""


class Signs:
    """Notes of the events in hand that they are worked on still, in a thread of its own.

    Args:
        worker: who works on them, as `begin_try` was told.
    """

    def __init__(self, store: Store, worker: str, every: float = EVERY) -> None:
        self._store = store
        self._worker = worker
        self._every = every
        self._guard = threading.Lock()
        self._events: set[str] = set()

    @contextmanager
    def of(self, event_id: str) -> Iterator[None]:
        """For the time of the block this event is in hand."""
        with self._guard:
            self._events.add(event_id)
        try:
            yield
        finally:
            with self._guard:
                self._events.discard(event_id)

    @contextmanager
    def given(self) -> Iterator[None]:
        """For the time of the block they are noted."""
        over = threading.Event()
        name = f"signs-of-{threading.current_thread().name}"
        thread = threading.Thread(target=self._give, args=(over,), name=name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(self._every)

    def _give(self, over: threading.Event) -> None:
        while not over.wait(self._every):
            with self._guard:
                events = sorted(self._events)
            if not events:
                continue
            try:
                note_alive(self._store, events, self._worker)
            except SuiteError as error:  # nothing but what people see hangs on it
                log.info("no sign of life could be noted", extra={"reason": error.message})
            except Exception:
                log.exception("no sign of life could be noted; the next one is tried")
