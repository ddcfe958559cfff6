"""Protections that a run can take away, to see whether the checker notices.

The suite itself has no such switches. Each of these replaces one thing in a process of a run, and
fails if that thing is no longer there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.bus import Consumer, Delivery
from shared.events import Event
from shared.runtime import Handler, Worker, worker
from shared.storage import Relay, Store, UnitOfWork
from shared.storage.messages import outbox
from shared.storage.unit_of_work import Tries

WRITTEN = 0.6
"""Seconds in which the bus has written what is acknowledged: a few looks of its thread."""


def take_away(name: str, module: str) -> None:
    """Do without a protection in this process; an empty name takes nothing away."""
    if name:
        BREAKS[name](module)


def _outbox(_module: str) -> None:
    """What is handed to the bus counts as sent, whether or not the bus took it."""
    publish = Relay._publish

    def forgetting(self: Relay, rows: Sequence[Any]) -> None:
        sent = outbox.c.number.in_([row.number for row in rows])
        with self.store.write() as session:
            session.execute(outbox.update().where(sent).values(sent=datetime.now(UTC)))
        publish(self, rows)

    Relay._publish = forgetting  # type: ignore[method-assign]


def _inbox(_module: str) -> None:
    """Nobody remembers which events were handled."""
    seal = UnitOfWork._seal

    def begin_try(_store: Store, _event: Event, _worker: str = "") -> Tries:
        return Tries(failures=0, crashes=0)

    def sealing(self: UnitOfWork) -> None:
        cause, self.cause = self.cause, None
        try:
            seal(self)
        finally:
            self.cause = cause

    assert hasattr(worker, "begin_try")
    worker.begin_try = begin_try
    UnitOfWork._seal = sealing  # type: ignore[method-assign]


def _commit_before(_module: str) -> None:
    """An event is acknowledged before it is worked on, and that is written down first."""
    begin = Worker._begin

    def acknowledging(
        self: Worker, consumer: Consumer, delivery: Delivery, event: Event, handler: Handler
    ) -> None:
        consumer.ack(delivery)
        time.sleep(WRITTEN)
        begin(self, consumer, delivery, event, handler)

    Worker._begin = acknowledging  # type: ignore[method-assign]


def _no_fsync(_module: str) -> None:
    """Blobs are written, and left to the kernel."""
    os.fsync = lambda _handle: None  # type: ignore[assignment]


def _lease(module: str) -> None:
    """Whoever has webhooks to send does not look whether another holds them."""
    if module == "services.ingest":
        from services.ingest import bootstrap

        assert bootstrap.LEASE > 0
        bootstrap.LEASE = 0.0


BREAKS: dict[str, Callable[[str], None]] = {
    "outbox": _outbox,
    "inbox": _inbox,
    "commit-before": _commit_before,
    "no-fsync": _no_fsync,
    "lease": _lease,
}
