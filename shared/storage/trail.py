"""What an outbox tells whoever looks after a place, and how it is set right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update

from shared.storage.engine import Store
from shared.storage.messages import inbox, outbox, relay_lease


@dataclass(frozen=True)
class Said:
    """One event of an outbox: its key, its envelope as bytes, and whether it was sent."""

    key: str
    value: bytes
    sent: bool


def said(store: Store) -> Iterator[Said]:
    """Every event that is still in the outbox, in the order of being said."""
    query = select(outbox.c.key, outbox.c.value, outbox.c.sent).order_by(outbox.c.number)
    with store.read() as session:
        for key, value, sent in session.execute(query.execution_options(yield_per=1000)):
            yield Said(key, bytes(value), sent is not None)


def send_all_again(store: Store) -> int:
    """Let the relay send everything that is still in the outbox, in its order: who has handled an
    event already knows it by its inbox. Returns how many there are.
    """
    with store.write() as session:
        session.execute(update(outbox).values(sent=None))
        return int(session.execute(select(func.count()).select_from(outbox)).scalar_one())


def remember_anew(store: Store) -> None:
    """Let the days begin anew for which an inbox knows what was handled: what is delivered again
    after a restore may be as old as the backup.
    """
    with store.write() as session:
        handled = update(inbox).where(inbox.c.handled.is_not(None))
        session.execute(handled.values(handled=datetime.now(UTC)))


def forget_relay(store: Store) -> None:
    """Nobody holds the lease of this database's relay any more."""
    with store.write() as session:
        session.execute(delete(relay_lease))
