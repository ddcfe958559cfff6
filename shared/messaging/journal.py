"""The events of a document that one service announced or received."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Row, select

from shared.messaging.inbox import ORDERED
from shared.messaging.tables import inbox, outbox
from shared.messaging.turns import tenant_of
from shared.storage.engine import Store

EventState = Literal["waiting", "working", "retrying", "done", "given_up"]

MOST = 1_000
"""Most events of one document listed from each table: the newest."""


class AnnouncedEventView(BaseModel):
    """An event that the service announced."""

    event: str = Field(description="its id")
    type: str
    created: datetime
    sent: datetime | None = Field(description="null: it waits for the service's relay")


class ReceivedEventView(BaseModel):
    """An event that the service received."""

    event: str = Field(description="its id")
    type: str
    state: EventState = Field(
        description="`retrying`: the last attempt failed and another follows; `given_up`: it "
        "is a dead letter"
    )
    first_seen: datetime
    since: datetime = Field(
        description="since when it has this state; `working`: when the attempt began"
    )
    worker: str = Field(description="host and process that work on it, or did last")
    seen: datetime | None = Field(
        description="`working`: the last heartbeat, one every five seconds"
    )
    attempts: int = Field(ge=0, description="attempts that began, except those that only waited")
    failures: int = Field(ge=0)
    error: str | None = Field(description="the error of the last failed attempt")
    next_try: datetime | None


def announced_events(store: Store, key: str) -> list[AnnouncedEventView]:
    """The announced events of a document (`tenant/id`) that are still stored, oldest first."""
    query = (
        select(outbox.c.event_id.label("event"), outbox.c.type, outbox.c.created, outbox.c.sent)
        .where(outbox.c.key == key, outbox.c.type.is_not(None))
        .order_by(outbox.c.number.desc())
        .limit(MOST)
    )
    with store.read() as session:
        rows = session.execute(query).all()
    return [AnnouncedEventView.model_validate(row, from_attributes=True) for row in reversed(rows)]


def received_events(store: Store, key: str) -> list[ReceivedEventView]:
    """The received events of a document (`tenant/id`) that are still stored, oldest first."""
    query = (
        select(inbox)
        .where(inbox.c.tenant == tenant_of(key), inbox.c.key == key, inbox.c.queue.in_(ORDERED))
        .order_by(inbox.c.number.desc())
        .limit(MOST)
    )
    with store.read() as session:
        rows = session.execute(query).all()
    return [_received(row) for row in reversed(rows)]


def _received(row: Row[Any]) -> ReceivedEventView:
    state = _state(row)
    ended = state in ("done", "given_up")
    return ReceivedEventView(
        event=row.event_id,
        type=row.type,
        state=state,
        first_seen=row.first_seen,
        since=row.ended if ended else row.began or row.first_seen,
        worker=row.owner or "",
        seen=row.seen if state == "working" else None,
        attempts=row.failures + row.crashes + int(state in ("working", "done")),
        failures=row.failures,
        error=row.error,
        next_try=row.ready_at if state == "retrying" else None,
    )


def _state(row: Row[Any]) -> EventState:
    if row.state == "waiting":
        return "retrying" if row.error is not None else "waiting"
    return _STATES[row.state]


_STATES: dict[str, EventState] = {
    "leased": "working",
    "done": "done",
    "dead": "given_up",
    "dropped": "given_up",
}
