"""What outbox and inbox tell whoever looks after a place, and how they are set right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

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


def begun_before(store: Store, moment: datetime) -> list[str]:
    """Ids of events that were begun before a moment, and neither handled nor given up since."""
    query = select(inbox.c.event_id).where(
        inbox.c.handled.is_(None), inbox.c.given_up.is_(None), inbox.c.first_seen < moment
    )
    with store.read() as session:
        return list(session.execute(query).scalars())


def key_of(store: Store, event_id: str) -> str | None:
    """The key of an event that is still in the outbox."""
    query = select(outbox.c.key).where(outbox.c.event_id == event_id)
    with store.read() as session:
        return session.execute(query).scalar_one_or_none()


def send_again(store: Store, event_id: str) -> bool:
    """Let the relay send one event once more. Returns whether it is in the outbox."""
    again = update(outbox).where(outbox.c.event_id == event_id).values(sent=None)
    with store.write() as session:
        return bool(session.execute(again).rowcount)  # type: ignore[attr-defined]


def send_all_again(store: Store) -> int:
    """Let the relay send everything that is still in the outbox, in its order: who has handled an
    event already knows it by its inbox. Returns how many there are.
    """
    with store.write() as session:
        session.execute(update(outbox).values(sent=None))
        return int(session.execute(select(func.count()).select_from(outbox)).scalar_one())


def forget_relay(store: Store) -> None:
    """Nobody holds the lease of this database's relay any more."""
    with store.write() as session:
        session.execute(delete(relay_lease))
