"""One unit of work: rows, outgoing events and the id of the incoming one, in one transaction.

The pattern is the transactional outbox with an idempotent consumer (microservices.io,
"Transactional outbox" and "Idempotent consumer"). A crash before the commit leaves nothing; after
it, the relay sends what the outbox holds, and a redelivered cause is recognised by the inbox.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from shared.errors import SuiteError
from shared.events import DocumentDeleted, Event
from shared.logs import log_context
from shared.storage.engine import Store
from shared.storage.listening import tell
from shared.storage.messages import inbox, outbox
from shared.tenancy import must_be_of
from shared.tracing import DOCUMENT, TENANT, carried, say

log = logging.getLogger(__name__)

EVENT_BYTES = 256_000
"""The largest event: a bus takes more, but what is larger belongs into a blob."""


class EventTooLarge(SuiteError):
    """The event is larger than an event may be: no further try can announce it."""

    code = "event_too_large"


class AlreadyHandled(Exception):
    """The event that caused this work has taken effect before; nothing was changed."""


class UnitOfWork:
    """`with uow:` opens the transaction; the end of the block commits it, an error rolls it back.

    It may be entered once. Do slow work before entering it.

    Args:
        store: the database of the service.
        cause: the event that is being handled, or None for a request.
    """

    def __init__(self, store: Store, cause: Event | None = None) -> None:
        self.store = store
        self.cause = cause
        self._events: list[Event] = []
        self._scope = store.write()
        self._session: Session | None = None
        self.entered = False

    @property
    def session(self) -> Session:
        """The open session; only inside the block."""
        if self._session is None:
            raise RuntimeError("the unit of work is not open")
        return self._session

    def publish(self, event: Event) -> None:
        """Announce an event with the rows: both are stored, or neither."""
        must_be_of(event.tenant, f"an event ({event.type})")
        cause, came = self.cause, carried()
        say({DOCUMENT: event.document_id, TENANT: event.tenant})
        update: dict[str, str | None] = {"cause": event.cause or (cause.id if cause else None)}
        if not event.trace:
            update |= {"trace": came.parent, "trace_state": came.state}
            if not came.parent and cause is not None:
                update |= {"trace": cause.trace, "trace_state": cause.trace_state}
        self._events.append(event.model_copy(update=update))

    def put_off(self, session: Session, until: datetime, why: str) -> None:
        """Nothing is done now: whoever handles the event keeps it elsewhere, with the rows of
        `session`, and does it later, by another unit of work with the same cause. Until then nobody
        has it in hand, and it is as if it had not been tried.

        Args:
            until: when it is over at the latest; what is not by then counts as an old event.
            why: what it waits for, in words for people.
        """
        assert self.cause is not None
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == self.cause.id, inbox.c.handled.is_(None))
            .values(starts=inbox.c.starts - 1, began=None, worker=None, error=why, next_try=until)
        )
        self.entered = True

    def __enter__(self) -> Self:
        self._session = self._scope.__enter__()
        self.entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._seal()
        except BaseException as failure:
            self._scope.__exit__(type(failure), failure, failure.__traceback__)
            raise
        else:
            self._scope.__exit__(kind, error, trace)
            if error is None and self._events:
                self.store.outbox_filled.set()
                self._tell()
        finally:
            self._session = None

    def _tell(self) -> None:
        """By these lines a document is found in the log of the request that it came with."""
        for event in self._events if self.cause is None else ():
            extra = {"type": event.type, "event": event.id}
            with log_context(document=event.document_id, tenant=event.tenant, trace=event.trace):
                log.info("announced", extra=extra)

    def _seal(self) -> None:
        """Write outbox and inbox; the last thing before the commit."""
        now = datetime.now(UTC)
        if isinstance(self.cause, DocumentDeleted):
            # What was said of it quotes names, reasons and corrections; what is not sent yet would
            # be passed over by whoever heard it.
            self.session.execute(delete(outbox).where(outbox.c.key == self.cause.key))
            self.session.execute(
                update(inbox).where(inbox.c.key == self.cause.key).values(error=None)
            )
        if self._events:
            rows = [
                {
                    "event_id": e.id,
                    "key": e.key,
                    "type": e.type,
                    "value": self._bytes_of(e),
                    "created": now,
                }
                for e in self._events
            ]
            self.session.execute(insert(outbox), rows)
            tell(self.session.connection())
        if self.cause is not None:
            marked = self.session.execute(
                update(inbox)
                .where(inbox.c.event_id == self.cause.id, inbox.c.handled.is_(None))
                .values(handled=now, next_try=None)
            )
            if marked.rowcount != 1:  # type: ignore[attr-defined]
                raise AlreadyHandled(self.cause.id)

    def _bytes_of(self, event: Event) -> bytes:
        value = event.to_json(self.store.service)
        if len(value) > EVENT_BYTES:
            raise EventTooLarge(
                f"{event.type} of document {event.document_id} has {len(value)} bytes, and an event"
                f" may have {EVENT_BYTES}: put what is large into a blob",
                document=event.document_id,
            )
        return value


@dataclass(frozen=True)
class Tries:
    """How often an event was worked on before."""

    failures: int
    """Tries that ended in an error."""
    crashes: int
    """Tries that never ended: the process died, or was thought dead."""


@dataclass(frozen=True)
class GivenUp:
    """An event that was given up, and comes again."""

    buried: bool
    """Whether it became a dead letter."""
    error: str


def begin_try(store: Store, event: Event, worker: str = "") -> Tries | GivenUp | None:
    """Count one more start at an event, before the work begins, so that a crash is counted too.

    Args:
        worker: who begins, for people who ask where a document is.

    Returns:
        How the tries before this one ended; what became of an event that was given up, at which
        nothing is started; None if the event has taken effect already.
    """
    now = datetime.now(UTC)
    begins = {
        "key": event.key,
        "type": event.type,
        "began": now,
        "seen": now,
        "worker": worker,
    }
    with store.write() as session:
        row = session.execute(
            select(inbox).where(inbox.c.event_id == event.id).with_for_update()
        ).one_or_none()
        if row is None:
            first = {"event_id": event.id, "starts": 1, "failures": 0}
            session.execute(insert(inbox).values(**first, **begins, first_seen=now))
            return Tries(failures=0, crashes=0)
        if row.handled is not None:
            return None
        if row.given_up is not None:
            return GivenUp(buried=row.buried is not None, error=row.error or "")
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == event.id)
            .values(starts=row.starts + 1, next_try=None, **begins)
        )
        return Tries(failures=row.failures, crashes=row.starts - row.failures)


def note_alive(store: Store, event_ids: Sequence[str], worker: str) -> None:
    """Note that these events, begun by `worker` and by nobody else since, are worked on still."""
    with store.write() as session:
        session.execute(
            update(inbox)
            .where(
                inbox.c.event_id.in_(event_ids),
                inbox.c.worker == worker,
                inbox.c.handled.is_(None),
                inbox.c.given_up.is_(None),
            )
            .values(seen=datetime.now(UTC))
        )


def count_failure(
    store: Store,
    event_id: str,
    failures: int = 1,
    waits: int = 0,
    *,
    error: str | None = None,
    next_try: datetime | None = None,
) -> None:
    """Note how tries ended: in an error, or (`waits`) at something that was away.

    What only waited is as if it had not been tried.

    Args:
        error: how the last one ended, in words for people.
        next_try: when it is tried again.
    """
    with store.write() as session:
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == event_id)
            .values(
                failures=inbox.c.failures + failures,
                starts=inbox.c.starts - waits,
                error=error,
                next_try=next_try,
            )
        )


def note_passed_over(store: Store, event: Event) -> None:
    """Keep in mind that an event said nothing to its handler, and is done with."""
    with store.write() as session:
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == event.id, inbox.c.handled.is_(None))
            .values(handled=datetime.now(UTC))
        )


def end_put_off(session: Session, event_ids: Sequence[str]) -> None:
    """Keep in mind that nobody wants to know any more of events that were put off."""
    session.execute(
        update(inbox)
        .where(inbox.c.event_id.in_(event_ids), inbox.c.handled.is_(None))
        .values(handled=datetime.now(UTC), next_try=None)
    )


def note_given_up(session: Session, event: Event, error: str) -> None:
    """Keep in mind that a begun event was given up, so that it is not worked on when it comes
    again."""
    session.execute(
        update(inbox)
        .where(inbox.c.event_id == event.id, inbox.c.handled.is_(None))
        .values(given_up=datetime.now(UTC), buried=None, error=error)
    )


def note_buried(store: Store, event: Event) -> None:
    """Keep in mind that an event which was given up became a dead letter."""
    with store.write() as session:
        session.execute(
            update(inbox)
            .where(inbox.c.event_id == event.id, inbox.c.given_up.is_not(None))
            .values(buried=datetime.now(UTC))
        )


def forget_tries(store: Store, event: Event) -> None:
    """Let an event that was given up be tried as often as a new one: it is replayed."""
    with store.write() as session:
        session.execute(
            delete(inbox).where(inbox.c.event_id == event.id, inbox.c.handled.is_(None))
        )
