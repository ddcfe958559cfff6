"""The worker: takes events from the bus, gives each to its handler, and decides on failures.

An event is acknowledged only after its unit of work is committed. What waits for something that is
away is tried again until it is back. Any other error that may pass is tried again after a delay
that doubles; one that will not, or that came often enough (tries in which the process died have a
limit of their own), becomes `document.failed.v1` and a dead letter: the document ends in a stated
outcome, and an operator can replay the event once the cause is mended. What was given up is not
worked on again when the bus or the relay repeats it; a replay of its dead letter starts afresh.

A large event is worked on beside the others, one at a time, so that a document of a thousand pages
holds up nobody's small ones. It stays in the hands of the same consumer: the order of its key, its
tries and its end are those of any other. One that finds the place taken comes again a little later.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from shared import metrics
from shared.bus import Bus, Consumer, Delivery
from shared.errors import InvalidRequest, SuiteError, Unavailable
from shared.events import (
    REASON_CHARACTERS,
    TYPES,
    DocumentBegun,
    DocumentFailed,
    Envelope,
    Event,
    Stage,
    UnknownEvent,
    open_envelope,
    read_envelope,
    shell,
)
from shared.logs import log_context
from shared.runtime.aside import Aside
from shared.runtime.places import places
from shared.runtime.pulse import Pulse
from shared.runtime.service import Handler, never
from shared.runtime.signs import Signs
from shared.settings import CommonSettings
from shared.storage import (
    AlreadyHandled,
    GivenUp,
    Store,
    UnitOfWork,
    begin_try,
    count_failure,
    forget_tries,
    note_buried,
    note_given_up,
    note_passed_over,
)
from shared.tenancy import work_of
from shared.tracing import DOCUMENT, EVENT, TENANT, Carried, Span, Value, entered

log = logging.getLogger(__name__)

WORKER = f"{socket.gethostname()}/{os.getpid()}"
"""This process, by which people find it and its log."""
IDLE_POLL = 0.5
TURN = 5.0
"""Seconds after which a large event that found the place taken asks again, at the least."""
TURN_STEP = 0.05
"""It is so much longer with each that was sent away since the place was taken: however many wait,
they ask twenty times a second together."""
TURN_MOST = 60.0

LOOKS = 5
"""So often it is looked whether the letter of an event that comes again is off the list: over 31 s
with the usual `retry_delay`, twice as long as Kafka may take to write that (`KafkaBus.send`)."""


def turn(given: int) -> float:
    """Seconds after which a large event asks again, if so many were sent away before it."""
    return min(TURN + TURN_STEP * given, TURN_MOST)


class Worker:
    """One consumer of one service. Run several, in threads or processes, for more throughput.

    Args:
        large: which events are worked on beside the others while it runs.
    """

    def __init__(
        self,
        name: Stage,
        store: Store,
        bus: Bus,
        handlers: Mapping[type[Event], Handler],
        settings: CommonSettings,
        large: Callable[[Event], bool] = never,
    ) -> None:
        self.name = name
        self.store = store
        self.bus = bus
        self.handlers = handlers
        self.settings = settings
        self.large = large
        self.pulse = Pulse()
        self._signs = Signs(store, WORKER)
        self._aside: Aside | None = None
        self._consumer: Consumer | None = None
        self._waiting = set[str]()
        """Keys of the large events that were sent away since the place beside was taken."""
        self._stale = False
        """Whether the consumer is to be left once nothing is in hand beside."""
        self._left: Delivery | None = None
        """What the loop failed at without saying what becomes of it."""
        self._unreported: dict[str, _Ends] = {}
        self._counting = threading.Lock()
        for told in (metrics.dead_letters_total, metrics.events_in_work):
            told.labels(name)  # nothing yet is told as 0, so that a first one shows

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a bus or database that is away is waited for."""
        with self._signs.given():
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        self._aside = Aside(self.pulse)
        pause = 0.5
        while not stop.is_set():
            try:
                self.run_once(IDLE_POLL)
                pause = 0.5
            except Unavailable as error:
                log.warning("the worker waits", extra={"reason": error.message})
                self._leave_consumer()
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
            except Exception:
                log.exception("the worker failed between events; it goes on")
                self._leave_consumer()
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
        self._aside.join()
        try:
            self._aside.check()
        except Exception:
            log.exception("the worker failed in what it had in hand at its end; it comes again")
        self._report()
        self._drop_consumer()

    def run_once(self, timeout: float = 0.0) -> bool:
        """Work on one event at the most, or begin it beside. Returns whether there was one."""
        self.pulse.beat()
        if self._aside is not None:
            self._aside.check()
        self._report()
        if self._stale:
            self._leave_consumer()
        if self._consumer is None:
            self._consumer = self.bus.consumer(self.name)
        if self._left is not None:
            self._consumer.retry(self._left, self.settings.retry_delay, "the worker failed at it")
            self._left = None
        delivery = self._consumer.receive(timeout)
        if delivery is None:
            return False
        self.pulse.begin()
        self._left = delivery
        try:
            self._work(self._consumer, delivery)
        finally:
            self.pulse.end()
        self._left = None
        return True

    def run_until_idle(self) -> int:
        """Work until nothing waits (for tests). Returns how many events were seen."""
        seen = 0
        while self.run_once():
            seen += 1
        return seen

    def _work(self, consumer: Consumer, delivery: Delivery) -> None:
        try:
            envelope = read_envelope(delivery.message.value)
            kind = TYPES.get(envelope.type)
            if kind is None or kind not in self.handlers:
                consumer.ack(delivery)  # whatever is in it
                return
            event, handler = self._opened(envelope, kind)
        except UnknownEvent as error:
            self._bury_alone(consumer, delivery, error)
            return
        fits = handler is self.handlers[kind]
        if self._aside is None or not fits or not self.large(event):
            self._begin(consumer, delivery, event, handler)
        elif not self._stale and self._aside.begin(
            partial(self._begin, consumer, delivery, event, handler)
        ):
            self._waiting.clear()
        else:
            consumer.later(delivery, turn(len(self._waiting)))
            self._waiting.add(delivery.message.key)

    def _begin(
        self, consumer: Consumer, delivery: Delivery, event: Event, handler: Handler
    ) -> None:
        came = Carried(event.trace, event.trace_state)
        waited = (datetime.now(UTC) - event.time).total_seconds()
        about: dict[str, Value] = {
            DOCUMENT: event.document_id,
            TENANT: event.tenant,
            EVENT: event.id,
            "smallprint.attempt": delivery.attempt,
            "smallprint.waited_seconds": round(max(waited, 0.0), 3),
        }
        with (
            work_of(event.tenant),
            log_context(document=event.document_id, tenant=event.tenant, event=event.id),
            entered(self.name, event.type, came, "consumer", about) as span,
            self._signs.of(event.id),
            metrics.events_in_work.labels(self.name).track_inprogress(),
        ):
            self._try(consumer, delivery, event, handler, span)

    def _opened(self, envelope: Envelope, kind: type[Event]) -> tuple[Event, Handler]:
        """The event and its handler; where its data don't fit, one that says so."""
        try:
            return open_envelope(envelope, kind), self.handlers[kind]
        except UnknownEvent as error:
            unfit = error

        def refuse(_event: Event, _uow: UnitOfWork) -> None:
            raise unfit

        return shell(envelope, kind), refuse

    def _bury_alone(self, consumer: Consumer, delivery: Delivery, error: SuiteError) -> None:
        """Give up what names no document that could end with it."""
        extra = {"key": delivery.message.key, "reason": error.message}
        log.warning("not an event", extra=extra)
        if consumer.dead(delivery, error.message):
            metrics.dead_letters_total.labels(self.name).inc()

    def _try(
        self, consumer: Consumer, delivery: Delivery, event: Event, handler: Handler, span: Span
    ) -> None:
        if not self._is_counted(event):
            consumer.retry(delivery, self.settings.retry_delay, "the store is away")
            return
        try:
            tries = begin_try(self.store, event, WORKER)
        except InvalidRequest as error:  # an id that no database takes
            self._bury_alone(consumer, delivery, error)
            return
        if tries is None:
            consumer.ack(delivery)
            return
        if isinstance(tries, GivenUp):
            self._given_up_before(consumer, delivery, event, tries, handler, span)
            return
        if tries.crashes >= self.settings.crashes:
            reason = f"given up after {tries.crashes} tries in which the worker died"
            self._give_up(consumer, delivery, event, "worker_died", reason)
            return
        if tries.crashes:
            extra = {"type": event.type, "event": event.id, "before": tries.crashes}
            log.warning("begun again after a try that never ended", extra=extra)
        began = time.monotonic()
        uow = UnitOfWork(self.store, event)
        try:
            handler(event, uow)
        except AlreadyHandled:
            log.info("handled before", extra={"event": event.id})
        except Exception as error:  # noqa: BLE001 - whatever it is, the document must end
            span.fail(error.code if isinstance(error, SuiteError) else "internal")
            self._failed(consumer, delivery, event, tries.failures + 1, error)
            return
        if not uow.entered:
            with suppress(Unavailable):  # nothing but what people see hangs on it
                note_passed_over(self.store, event)
        consumer.ack(delivery)
        seconds = time.monotonic() - began
        metrics.stage_seconds.labels(self.name, event.type).observe(seconds)
        log.info("handled", extra={"type": event.type, "seconds": round(seconds, 3)})

    def _given_up_before(
        self,
        consumer: Consumer,
        delivery: Delivery,
        event: Event,
        before: GivenUp,
        handler: Handler,
        span: Span,
    ) -> None:
        """Bury what has yet to be, pass over what was, and start afresh what was replayed.

        A replay is a first attempt, and takes the dead letter off the list, maybe some time after
        it delivers the event; so what is listed still is looked at again before it is passed over.
        """
        listed = self._is_listed(event)
        if listed and delivery.attempt <= LOOKS:
            consumer.retry(delivery, self._delay(delivery.attempt), before.error)
        elif listed:
            consumer.ack(delivery)
        elif before.buried or delivery.attempt == 1:
            forget_tries(self.store, event)
            self._try(consumer, delivery, event, handler, span)
        else:
            self._bury(consumer, delivery, event, before.error)

    def _is_listed(self, event: Event) -> bool:
        for letter in self.bus.dead_letters(self.name):
            try:
                if read_envelope(letter.message.value).id == event.id:
                    return True
            except UnknownEvent:
                continue
        return False

    def _failed(
        self, consumer: Consumer, delivery: Delivery, event: Event, failures: int, error: Exception
    ) -> None:
        """Try again, or give up. What only waits for something else is never given up."""
        known = error if isinstance(error, SuiteError) else None
        reason = _plain(known.message) if known else self._internal(event)
        waits = known is not None and known.retryable
        with self._counting:
            ends = self._unreported.setdefault(event.id, _Ends())
            if waits:
                ends.waits += 1
            else:
                ends.failures += 1
            ends.error = reason
        if not waits and (known is not None or failures >= self.settings.attempts):
            extra = {"type": event.type, "event": event.id, "failures": failures}
            log.error("given up", exc_info=error, extra=extra)
            code = known.code if known else "internal"
            self._give_up(consumer, delivery, event, code, reason, places(error))
            return
        delay = self._delay(delivery.attempt)
        if isinstance(error, Unavailable) and error.wait:
            delay = max(error.wait, self.settings.retry_delay)
            delay = min(delay, self.settings.retry_delay_most)
        ends.next_try = datetime.now(UTC) + timedelta(seconds=delay)
        self._report()
        extra = {
            "type": event.type,
            "event": event.id,
            "failures": failures,
            "delay": delay,
            "reason": reason,
        }
        log.warning("failed, will be tried again", exc_info=None if known else error, extra=extra)
        consumer.retry(delivery, delay, reason)

    def _delay(self, attempt: int) -> float:
        """Seconds until the attempt after this one."""
        delay = self.settings.retry_delay * 2.0 ** min(attempt - 1, 30)
        return min(delay, self.settings.retry_delay_most)

    def _internal(self, event: Event) -> str:
        """What outsiders are told of a bug: its text may hold what is not theirs to see."""
        return f"an internal error in {self.name}; the log has it under event {event.id}"

    def _give_up(
        self,
        consumer: Consumer,
        delivery: Delivery,
        event: Event,
        code: str,
        reason: str,
        came_by: str = "",
    ) -> None:
        """State the failure, then bury the event. A failure to hear of a failure is not stated, nor
        one over first pages, for the document itself is still to come.

        `came_by` is kept in the dead letter, below the reason.
        """
        with UnitOfWork(self.store) as uow:
            if not isinstance(event, DocumentFailed | DocumentBegun):
                uow.publish(
                    DocumentFailed(
                        tenant=event.tenant,
                        document_id=event.document_id,
                        cause=event.id,
                        stage=self.name,
                        code=code,
                        reason=reason,
                        attempt=getattr(event, "attempt", 1),
                    )
                )
            told = f"{reason}\n\n{came_by}" if came_by else reason
            note_given_up(uow.session, event, told)
        with self._counting:
            self._unreported.pop(event.id, None)
        self._bury(consumer, delivery, event, told)

    def _bury(self, consumer: Consumer, delivery: Delivery, event: Event, reason: str) -> None:
        """If the delivery was lost, whoever has it now finds no letter, and does it."""
        if consumer.dead(delivery, reason):
            metrics.dead_letters_total.labels(self.name).inc()
            note_buried(self.store, event)

    def _report(self) -> None:
        """Write down how tries ended; while the store is away they are kept in mind."""
        with self._counting:
            for event_id, ends in list(self._unreported.items()):
                try:
                    count_failure(
                        self.store,
                        event_id,
                        ends.failures,
                        ends.waits,
                        error=ends.error,
                        next_try=ends.next_try,
                    )
                except Unavailable as error:
                    log.warning("failures are yet to be counted", extra={"reason": error.message})
                    return
                del self._unreported[event_id]

    def _is_counted(self, event: Event) -> bool:
        """Whether it is written down how its tries ended: else the next would pass for one that
        follows a crash.
        """
        if event.id in self._unreported:
            self._report()
        return event.id not in self._unreported

    def _leave_consumer(self) -> None:
        """After a failure: leave the consumer, for what it holds may wait for an answer that never
        comes. While something of it is in hand beside, that has to wait, since two would have it;
        the loop need not, and gives back what it failed at.
        """
        self._stale = self._aside is not None and self._aside.taken
        if not self._stale:
            self._drop_consumer()

    def _drop_consumer(self) -> None:
        """Give back what it holds, once nothing of it is in hand: else two would have it."""
        if self._aside is not None:
            self._aside.join()
        self._stale, self._left = False, None
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close()
            except SuiteError as error:
                log.warning("the consumer did not close cleanly", extra={"reason": error.message})


@dataclass
class _Ends:
    """Tries of one event that ended and are not counted in the inbox yet."""

    failures: int = 0
    waits: int = 0
    error: str | None = None
    """How the last one ended."""
    next_try: datetime | None = None


def _plain(reason: str) -> str:
    """A reason that every database and bus can keep; it may quote a document."""
    kept = reason.encode("utf-8", "replace").decode().replace("\0", "?")
    return kept if len(kept) <= REASON_CHARACTERS else kept[: REASON_CHARACTERS - 1] + "…"
