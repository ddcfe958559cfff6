"""The worker: claims events from the inbox, gives each to its handler, and decides on failures.

A handler's unit of work marks its event as done in the same commit. An event that needs something
unavailable is retried until that is back. Unknown errors are retried with growing delays, up to
`SMALLPRINT_ATTEMPTS`; crashes of the process up to `SMALLPRINT_CRASHES`. Then, or at once after an
error that no retry can mend, the event is given up: it becomes `document.failed.v1` and a dead
letter. So the document ends with a stated outcome, and an operator can replay the event.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from shared import metrics
from shared.errors import SuiteError, Unavailable
from shared.events import (
    TYPES,
    BlobRef,
    DocumentFailed,
    Event,
    FirstPagesRead,
    Stage,
    UnknownEvent,
    bare_event,
    open_envelope,
    read_envelope,
)
from shared.logs import log_context
from shared.messaging import AlreadyHandled, Inbox, Lease, TakesLong, UnitOfWork
from shared.messaging.inbox import FINISHED, ORDERED, Queue
from shared.messaging.pump import printable
from shared.runtime.child import BYTES, ChildEnded, ChildWorker
from shared.runtime.heartbeats import Heartbeats
from shared.runtime.places import places
from shared.runtime.pulse import Heartbeat
from shared.runtime.service import Handler
from shared.settings import CommonSettings
from shared.tenancy import work_of
from shared.tracing import DOCUMENT, EVENT, TENANT, Carried, Span, Value, carried, entered

log = logging.getLogger(__name__)

WORKER = f"{socket.gethostname()}/{os.getpid()}"
"""Host and process, by which people find the log."""


class Worker:
    """Handles the events of one queue. Run several, in threads or processes, for more throughput.

    Args:
        inbox: shared by the workers of a process, so that tenants take turns among all of them.
        child: the child process that handles events of the types `in_child`.
    """

    def __init__(
        self,
        name: Stage,
        inbox: Inbox,
        handlers: Mapping[type[Event], Handler],
        settings: CommonSettings,
        queue: Queue = "main",
        child: ChildWorker | None = None,
        in_child: Collection[type[Event]] = (),
    ) -> None:
        self.name = name
        self.inbox = inbox
        self.store = inbox.store
        self.handlers = handlers
        self.settings = settings
        self.queue: Queue = queue
        self.queues = ORDERED if queue in ORDERED else (queue,)
        self.child = child
        self.in_child = in_child
        self.pulse = Heartbeat()
        self._heartbeats = Heartbeats(inbox)
        self._unreported: Callable[[], None] | None = None
        """Stores how the last attempt ended; kept while the database is unavailable."""
        for metric in (metrics.dead_letters_total, metrics.events_in_work):
            metric.labels(name)  # starts at 0, so that the first count is seen

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. It waits while the database is down."""
        pause = 0.5
        with self._heartbeats.sent():
            while not stop.is_set():
                try:
                    if not self.run_once(self.inbox.poll) and self.child:
                        self.child.rest()
                    pause = 0.5
                except Unavailable as error:
                    log.warning("the worker waits", extra={"reason": error.message})
                    stop.wait(pause)
                    pause = min(pause * 2, 10.0)
                except Exception:
                    log.exception("the worker failed between events; it continues")
                    stop.wait(pause)
                    pause = min(pause * 2, 10.0)
        if self.child:
            self.child.close()

    def run_once(self, timeout: float = 0.0) -> bool:
        """Work on one event at most. Returns whether there was one."""
        self.pulse.beat()
        self._report()
        lease = self.inbox.wait(self.queue, timeout)
        if lease is None:
            return False
        self.pulse.begin()
        try:
            with self._heartbeats.of(lease):
                self._work(lease)
        finally:
            self.pulse.end()
        return True

    def work(self, lease: Lease) -> None:
        """Handle a claimed event and store its end, also if the database is away meanwhile."""
        try:
            self._work(lease)
        except Unavailable as error:
            log.warning("the worker waits", extra={"reason": error.message})
        while self._unreported is not None:
            with suppress(Unavailable):
                self._report()
                break
            time.sleep(self.inbox.poll)

    def _report(self) -> None:
        """Store how the last attempt ended. After Unavailable it is called again before a claim."""
        if self._unreported is not None:
            self._unreported()
            self._unreported = None

    def _work(self, lease: Lease) -> None:
        try:
            event, handler = self._opened(lease)
        except UnknownEvent as error:  # it names no document that could fail
            with self.store.write() as session:
                self.inbox.give_up(session, lease, printable(error.message), failed=True)
            metrics.dead_letters_total.labels(self.name).inc()
            return
        if self.child is not None and type(event) in self.in_child:
            self._delegate(lease, event, self.child)
            return
        waited = (datetime.now(UTC) - event.time).total_seconds()
        about: dict[str, Value] = {
            DOCUMENT: event.document_id,
            TENANT: event.tenant,
            EVENT: event.id,
            "smallprint.attempt": lease.attempts,
            "smallprint.waited_seconds": round(max(waited, 0.0), 3),
        }
        came = Carried(event.trace, event.trace_state)
        with (
            work_of(event.tenant),
            log_context(document=event.document_id, tenant=event.tenant, event=event.id),
            entered(self.name, event.type, came, "consumer", about) as span,
            metrics.events_in_work.labels(self.name).track_inprogress(),
        ):
            self._try(lease, event, handler, span)
            self._report()

    def _opened(self, lease: Lease) -> tuple[Event, Handler]:
        """Return event and handler. Raises UnknownEvent for an invalid event."""
        envelope = read_envelope(lease.value)
        kind = TYPES.get(envelope.type)
        if kind is None:
            raise UnknownEvent(f"not an event of this version: {envelope.type}")
        try:
            return open_envelope(envelope, kind), self.handlers.get(kind, _pass_over)
        except UnknownEvent as unfit:
            return bare_event(envelope, kind), _refuse(unfit)

    def _delegate(self, lease: Lease, event: Event, child: ChildWorker) -> None:
        """Have the child handle an event."""
        with (
            work_of(event.tenant),
            log_context(document=event.document_id, tenant=event.tenant, event=event.id),
            metrics.events_in_work.labels(self.name).track_inprogress(),
        ):
            try:
                child.handle(lease, self._seconds(event), self.settings.quick_seconds)
            except TakesLong:
                self._make_large(lease, event)
            except (SuiteError, ChildEnded) as error:
                self._failed(lease, event, error)
            self._report()
        self.store.inbox_changed.notify()

    def _seconds(self, event: Event) -> float:
        """Seconds of computing for an event, by the size of its document."""
        blobs = (getattr(event, name, None) for name in ("original", "text", "clauses"))
        size = max((blob.size for blob in blobs if isinstance(blob, BlobRef)), default=0)
        readers = max(1, len(getattr(event, "adapters", ())))
        return self.settings.text_seconds * readers * (1 + size / BYTES)

    def _make_large(self, lease: Lease, event: Event) -> None:
        log.info("moved to the large documents", extra={"event": event.id})
        self._unreported = lambda: self.inbox.make_large(lease)

    def _try(self, lease: Lease, event: Event, handler: Handler, span: Span) -> None:
        if lease.crashes >= self.settings.crashes:
            reason = f"given up: the worker crashed {lease.crashes} times"
            self._give_up(lease, event, "worker_died", reason, failed=False)
            return
        if lease.crashes:
            extra = {"type": event.type, "event": event.id, "before": lease.crashes}
            log.warning("retrying after an attempt that never ended", extra=extra)
        began = time.monotonic()
        uow = UnitOfWork(self.store, event, self.queues, large=self.queue == "large")
        try:
            handler(event, uow)
        except AlreadyHandled:
            log.info("handled before", extra={"event": event.id})
            return
        except TakesLong:
            self._make_large(lease, event)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the document must end
            span.fail(error.code if isinstance(error, SuiteError) else "internal")
            self._failed(lease, event, error)
            return
        if not uow.entered:
            self._unreported = lambda: self.inbox.finish(lease)
        seconds = time.monotonic() - began
        metrics.stage_seconds.labels(self.name, event.type).observe(seconds)
        log.info("handled", extra={"type": event.type, "seconds": round(seconds, 3)})

    def _failed(self, lease: Lease, event: Event, error: Exception) -> None:
        """Retry or give up. An event that only needs something unavailable is never given up."""
        known = error if isinstance(error, SuiteError) else None
        reason = printable(known.message) if known else self._internal(event)
        waits = known is not None and known.retryable
        failures = lease.failures + (0 if waits else 1)
        if not waits and (known is not None or failures >= self.settings.attempts):
            extra = {"type": event.type, "event": event.id, "failures": failures}
            log.error("given up", exc_info=error, extra=extra)
            code = known.code if known else "internal"
            self._give_up(lease, event, code, reason, places(error))
            return
        delay = self.settings.retry_delay * 2.0 ** min(lease.attempts - 1, 30)
        if isinstance(error, Unavailable) and error.wait:
            delay = max(error.wait, self.settings.retry_delay)
        delay = min(delay, self.settings.retry_delay_most)
        again = datetime.now(UTC) + timedelta(seconds=delay)
        self._unreported = lambda: self.inbox.retry(lease, again, reason, failed=not waits)
        extra = {
            "type": event.type,
            "event": event.id,
            "failures": failures,
            "delay": delay,
            "reason": reason,
        }
        log.warning("failed, will be tried again", exc_info=None if known else error, extra=extra)

    def _internal(self, event: Event) -> str:
        """The public message of a bug: its own text may quote the document."""
        return f"an internal error in {self.name}: search the log for event {event.id}"

    def _give_up(
        self,
        lease: Lease,
        event: Event,
        code: str,
        reason: str,
        trace: str = "",
        *,
        failed: bool = True,
    ) -> None:
        """Make the event a dead letter and announce the failure, both or neither.

        No failure is announced for the event of a failure or a decision. Nor for first pages: the
        document itself is still to come.

        Args:
            trace: the traceback without messages, stored below the reason.
        """
        words = f"{reason}\n\n{trace}" if trace else reason
        came = carried()

        def write() -> None:
            with UnitOfWork(self.store) as uow:
                if not self.inbox.give_up(uow.session, lease, words, failed=failed):
                    return  # another worker has it now
                if self.queue in ORDERED and not isinstance(event, DocumentFailed | FirstPagesRead):
                    uow.publish(
                        DocumentFailed(
                            tenant=event.tenant,
                            document_id=event.document_id,
                            cause=event.id,
                            stage=self.name,
                            code=code,
                            reason=reason,
                            attempt=getattr(event, "attempt", 1),
                            trace=came.parent,
                            trace_state=came.state,
                        )
                    )
            self.store.inbox_changed.notify(FINISHED)
            metrics.dead_letters_total.labels(self.name).inc()

        self._unreported = write


def _pass_over(_event: Event, _uow: UnitOfWork) -> None:
    """Ignore an event that another version of the service has stored."""


def _refuse(unfit: UnknownEvent) -> Handler:
    def refuse(_event: Event, _uow: UnitOfWork) -> None:
        raise unfit

    return refuse
