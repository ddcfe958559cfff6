"""One unit of work: rows, outgoing events and the id of the incoming one, in one transaction.

The pattern is the transactional outbox with an idempotent consumer (microservices.io,
"Transactional outbox" and "Idempotent consumer"). A crash before the commit leaves nothing. After
it, the relay sends the events in the outbox, and the inbox recognises a redelivered cause.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from sqlalchemy import case, delete, insert, update
from sqlalchemy.orm import Session

from shared.errors import SuiteError
from shared.events import DocumentDeleted, Event
from shared.logs import log_context
from shared.messaging.inbox import FINISHED, ORDERED, Queue, done
from shared.messaging.tables import inbox, outbox
from shared.storage.engine import Store
from shared.storage.notifications import notify
from shared.tenancy import must_be_of
from shared.tracing import DOCUMENT, TENANT, carried, say

log = logging.getLogger(__name__)

EVENT_BYTES = 256_000
"""Largest size of an event in bytes; larger data belong in a blob."""


class EventTooLarge(SuiteError):
    """The event is larger than an event may be: no further try can announce it."""

    code = "event_too_large"


class AlreadyHandled(Exception):
    """The event that caused this work was handled before; nothing was changed."""


class TakesLong(Exception):
    """The work on an event takes long: the worker of large events should do it."""


class UnitOfWork:
    """`with uow:` opens the transaction; the end of the block commits it, an error rolls it back.

    It may be entered once. Do slow work before entering it.

    Args:
        store: the database of the service.
        cause: the event that is being handled, or None for a request.
        queues: queues of the inbox with that event.
        large: whether the worker of large events handles it.
    """

    def __init__(
        self,
        store: Store,
        cause: Event | None = None,
        queues: Sequence[Queue] = ORDERED,
        *,
        large: bool = False,
    ) -> None:
        self.store = store
        self.cause = cause
        self.queues = queues
        self.large = large
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
            if error is None and self.cause is not None:
                self.store.inbox_changed.notify(FINISHED)
            if error is None and self._events:
                self.store.outbox_filled.set()
                self._tell()
        finally:
            self._session = None

    def _tell(self) -> None:
        """Log the events that a request announced, with the ids of their documents."""
        for event in self._events if self.cause is None else ():
            extra = {"type": event.type, "event": event.id}
            with log_context(document=event.document_id, tenant=event.tenant, trace=event.trace):
                log.info("announced", extra=extra)

    def _seal(self) -> None:
        """Write outbox and inbox just before the commit."""
        now = datetime.now(UTC)
        if isinstance(self.cause, DocumentDeleted):
            # Its events quote names, reasons and corrections. Nobody needs the unsent ones, nor its
            # dead letters: a replay would change nothing.
            self.session.execute(delete(outbox).where(outbox.c.key == self.cause.key))
            self.session.execute(
                update(inbox)
                .where(inbox.c.tenant == self.cause.tenant, inbox.c.key == self.cause.key)
                .values(
                    error=None,
                    state=case((inbox.c.state == "dead", "dropped"), else_=inbox.c.state),
                    value=case((inbox.c.state == "dead", b""), else_=inbox.c.value),
                )
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
            notify(self.session.connection())
        if self.cause is not None:
            marked = self.session.execute(
                update(inbox)
                .where(
                    inbox.c.tenant == self.cause.tenant,
                    inbox.c.event_id == self.cause.id,
                    inbox.c.queue.in_(self.queues),
                    inbox.c.ended.is_(None),
                )
                .values(**done())
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
