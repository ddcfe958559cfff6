"""Where a document is in one service: what was said of it, and what became of what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, select

from shared.storage.engine import Store
from shared.storage.messages import inbox, outbox

Standing = Literal["working", "retrying", "done", "given_up"]

MOST = 1_000
"""Events of one document that are listed, of each table the newest."""


@dataclass(frozen=True)
class Said:
    """An event of a document that this service announced."""

    event: str
    type: str
    created: datetime
    sent: datetime | None
    """None: it waits for the relay."""


@dataclass(frozen=True)
class Heard:
    """An event of a document that this service took into its hands."""

    event: str
    type: str
    standing: Standing
    first_seen: datetime
    since: datetime
    """When it came to stand as it does."""
    worker: str
    """Host and process that have it, or had it last."""
    seen: datetime | None
    """When these last gave a sign of life, while it is in hand."""
    attempts: int
    failures: int
    error: str | None
    """How the last try ended that failed."""
    next_try: datetime | None


def said(store: Store, key: str) -> list[Said]:
    """What was announced of a document (`tenant/id`), oldest first, as far as it is kept."""
    query = (
        select(outbox.c.event_id, outbox.c.type, outbox.c.created, outbox.c.sent)
        .where(outbox.c.key == key, outbox.c.type.is_not(None))
        .order_by(outbox.c.number.desc())
        .limit(MOST)
    )
    with store.read() as session:
        rows = session.execute(query).all()
    return [Said(*row) for row in reversed(rows)]


def heard(store: Store, key: str) -> list[Heard]:
    """What was heard of a document (`tenant/id`), oldest first, as far as it is kept."""
    query = (
        select(inbox)
        .where(inbox.c.key == key)
        .order_by(inbox.c.first_seen.desc(), inbox.c.event_id)
        .limit(MOST)
    )
    with store.read() as session:
        rows = session.execute(query).all()
    return [_heard(row) for row in reversed(rows)]


def _heard(row: Row[Any]) -> Heard:
    standing: Standing
    if row.handled is not None:
        standing, since = "done", row.handled
    elif row.given_up is not None:
        standing, since = "given_up", row.given_up
    else:
        standing, since = "retrying" if row.next_try else "working", row.began or row.first_seen
    return Heard(
        event=row.event_id,
        type=row.type or "",
        standing=standing,
        first_seen=row.first_seen,
        since=since,
        worker=row.worker or "",
        seen=row.seen if standing == "working" and _of_this_try(row) else None,
        attempts=row.starts,
        failures=row.failures,
        error=row.error if standing != "done" else None,
        next_try=row.next_try if standing == "retrying" else None,
    )


def _of_this_try(row: Row[Any]) -> bool:
    """Whether its last sign of life is of the try that is in hand: a worker of an older release
    gives none, and leaves that of the try before.
    """
    return row.seen is not None and (row.began is None or row.seen >= row.began)
