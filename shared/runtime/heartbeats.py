"""Heartbeats renew the leases of events in progress. A dead process sends none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import SuiteError
from shared.messaging import Inbox, Lease

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two heartbeats, with the usual lease of 30 seconds or a longer one."""


class Heartbeats:
    """Renews the leases of the events in progress, in a separate thread."""

    def __init__(self, inbox: Inbox, every: float = EVERY) -> None:
        self._inbox = inbox
        self._every = min(every, inbox.lease.total_seconds() / 3)
        self._guard = threading.Lock()
        self._leases: dict[int, Lease] = {}

    @contextmanager
    def of(self, lease: Lease) -> Iterator[None]:
        """Renew this lease for the time of the block."""
        with self._guard:
            self._leases[lease.number] = lease
        try:
            yield
        finally:
            with self._guard:
                self._leases.pop(lease.number, None)

    @contextmanager
    def sent(self) -> Iterator[None]:
        """Send heartbeats for the time of the block."""
        over = threading.Event()
        name = f"heartbeats-of-{threading.current_thread().name}"
        thread = threading.Thread(target=self._send, args=(over,), name=name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(self._every)

    def _send(self, over: threading.Event) -> None:
        while not over.wait(self._every):
            with self._guard:
                leases = list(self._leases.values())
            if not leases:
                continue
            try:
                self._inbox.renew(leases)
            except SuiteError as error:
                reason = {"reason": error.message, "leases": len(leases)}
                log.warning("leases could not be renewed; the next heartbeat retries", extra=reason)
            except Exception:
                log.exception("leases could not be renewed; the next heartbeat retries")
