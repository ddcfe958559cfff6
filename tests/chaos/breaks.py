"""Protections that a run can remove, to test whether the checker notices.

The suite itself has no such switches. Each function patches one thing in a process of a run. It
fails if that thing no longer exists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.messaging import Lease, Relay, UnitOfWork
from shared.messaging.tables import inbox, outbox
from shared.runtime import Worker


def take_away(name: str, module: str) -> None:
    """Remove a protection from this process; an empty name removes none."""
    if name:
        BREAKS[name](module)


def _outbox(_module: str) -> None:
    """Mark events as sent before the bus has accepted them."""
    publish = Relay._publish

    def forgetting(self: Relay, rows: Sequence[Any]) -> None:
        sent = outbox.c.number.in_([row.number for row in rows])
        with self.store.write() as session:
            session.execute(outbox.update().where(sent).values(sent=datetime.now(UTC)))
        publish(self, rows)

    Relay._publish = forgetting  # type: ignore[method-assign]


def _inbox(_module: str) -> None:
    """Forget handled events."""
    seal = UnitOfWork._seal

    def sealing(self: UnitOfWork) -> None:
        seal(self)
        if self.cause is not None:
            tenant, event = self.cause.tenant, self.cause.id
            gone = inbox.delete().where(inbox.c.tenant == tenant, inbox.c.event_id == event)
            self.session.execute(gone)

    UnitOfWork._seal = sealing  # type: ignore[method-assign]


def _commit_before(_module: str) -> None:
    """Mark events as done before they are handled."""
    work, seal = Worker._work, UnitOfWork._seal

    def finishing(self: Worker, lease: Lease) -> None:
        self.inbox.finish(lease)
        work(self, lease)

    def sealing(self: UnitOfWork) -> None:
        cause, self.cause = self.cause, None
        try:
            seal(self)
        finally:
            self.cause = cause

    Worker._work = finishing  # type: ignore[method-assign]
    UnitOfWork._seal = sealing  # type: ignore[method-assign]


def _no_fsync(_module: str) -> None:
    """Write blobs without syncing them to disk."""
    os.fsync = lambda _handle: None  # type: ignore[assignment]


def _lease(module: str) -> None:
    """Ignore the webhook leases of other senders."""
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
