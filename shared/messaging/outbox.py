"""Reads the outbox for backup and verify, and resets it after a restore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update

from shared.messaging.tables import inbox, outbox, relay_lease
from shared.storage.engine import Store
from shared.storage.tenant_isolation import across_tenants


@dataclass(frozen=True)
class SentEvent:
    """One event of an outbox: its key, its envelope as bytes, and whether it was sent."""

    key: str
    value: bytes
    sent: bool


def events(store: Store) -> Iterator[SentEvent]:
    """Every event in the outbox, in the order of announcement."""
    query = select(outbox.c.key, outbox.c.value, outbox.c.sent).order_by(outbox.c.number)
    with store.read() as session:
        for key, value, sent in session.execute(query.execution_options(yield_per=1000)):
            yield SentEvent(key, bytes(value), sent is not None)


def resend_all(store: Store) -> int:
    """Let the relay send the whole outbox again, in order. Returns the number of events.

    Inboxes recognise events that were handled before.
    """
    with store.write() as session:
        session.execute(update(outbox).values(sent=None))
        return int(session.execute(select(func.count()).select_from(outbox)).scalar_one())


def extend_inbox_retention(store: Store) -> None:
    """Restart the days for which the inbox remembers handled events.

    Events delivered again after a restore may be as old as the backup.
    """
    with store.write() as session:
        done = update(inbox).where(inbox.c.state.in_(("done", "dropped")))
        done = done.values(ended=datetime.now(UTC))
        session.execute(across_tenants(done, "a restore is of all tenants"))


def release_relay_lease(store: Store) -> None:
    """Remove the lease of this database's relay."""
    with store.write() as session:
        session.execute(delete(relay_lease))
