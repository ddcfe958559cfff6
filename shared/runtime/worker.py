"""The worker: takes events from the bus, gives each to its handler, and decides on failures.

An event is acknowledged only after its unit of work is committed. What waits for something that is
away is tried again until it is back. Any other error that may pass is tried again after a delay
that doubles; one that will not, or that came often enough (tries in which the process died have a
limit of their own), becomes `document.failed.v1` and a dead letter: the document ends in a stated
outcome, and an operator can replay the event once the cause is mended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from shared import metrics
from shared.bus import Bus, Consumer, Delivery
from shared.errors import SuiteError, Unavailable
from shared.events import DocumentFailed, Event, Stage, UnknownEvent, decode
from shared.logs import log_context
from shared.runtime.service import Handler
from shared.settings import CommonSettings
from shared.storage import (
    AlreadyHandled,
    Store,
    UnitOfWork,
    begin_try,
    count_failure,
    forget_tries,
)

log = logging.getLogger(__name__)

IDLE_POLL = 0.5
LAG_EVERY = 5.0


class Worker:
    """One consumer of one service. Run several, in threads or processes, for more throughput."""

    def __init__(
        self,
        name: Stage,
        store: Store,
        bus: Bus,
        handlers: Mapping[type[Event], Handler],
        settings: CommonSettings,
    ) -> None:
        self.name = name
        self.store = store
        self.bus = bus
        self.handlers = handlers
        self.settings = settings
        self._consumer: Consumer | None = None
        self._lag_measured = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a bus or database that is away is waited for."""
        pause = 0.5
        while not stop.is_set():
            try:
                self.run_once(IDLE_POLL)
                pause = 0.5
            except Unavailable as error:
                log.warning("the worker waits", extra={"reason": error.message})
                self._drop_consumer()  # what it holds would wait for an answer that never comes
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
            except Exception:
                log.exception("the worker failed between events; it goes on")
                self._drop_consumer()
                stop.wait(pause)
                pause = min(pause * 2, 10.0)
        self._drop_consumer()

    def run_once(self, timeout: float = 0.0) -> bool:
        """Work on one event at the most. Returns whether there was one."""
        if self._consumer is None:
            self._consumer = self.bus.consumer(self.name)
        self._measure_lag()
        delivery = self._consumer.receive(timeout)
        if delivery is None:
            return False
        self._work(self._consumer, delivery)
        return True

    def run_until_idle(self) -> int:
        """Work until nothing waits (for tests). Returns how many events were seen."""
        seen = 0
        while self.run_once():
            seen += 1
        return seen

    def _work(self, consumer: Consumer, delivery: Delivery) -> None:
        try:
            event = decode(delivery.message.value)
        except UnknownEvent as error:
            log.warning(
                "not an event", extra={"key": delivery.message.key, "reason": error.message}
            )
            metrics.dead_letters_total.labels(self.name).inc()
            consumer.dead(delivery, error.message)
            return
        handler = self.handlers.get(type(event)) if event else None
        if event is None or handler is None:
            consumer.ack(delivery)
            return
        with log_context(document=event.document_id, tenant=event.tenant, trace=event.trace):
            self._try(consumer, delivery, event, handler)

    def _try(self, consumer: Consumer, delivery: Delivery, event: Event, handler: Handler) -> None:
        tries = begin_try(self.store, event)
        if tries is None:
            consumer.ack(delivery)
            return
        if tries.crashes >= self.settings.crashes:
            reason = f"given up after {tries.crashes} tries in which the worker died"
            self._give_up(consumer, delivery, event, "worker_died", reason)
            return
        began = time.monotonic()
        try:
            handler(event, UnitOfWork(self.store, event))
        except AlreadyHandled:
            log.info("handled before", extra={"event": event.id})
        except Exception as error:  # noqa: BLE001 - whatever it is, the document must end
            self._failed(consumer, delivery, event, tries.failures + 1, error)
            return
        consumer.ack(delivery)
        seconds = time.monotonic() - began
        metrics.stage_seconds.labels(self.name, event.type).observe(seconds)
        log.info("handled", extra={"type": event.type, "seconds": round(seconds, 3)})

    def _failed(
        self, consumer: Consumer, delivery: Delivery, event: Event, failures: int, error: Exception
    ) -> None:
        """Try again, or give up. What only waits for something else is never given up."""
        known = error if isinstance(error, SuiteError) else None
        reason = known.message if known else f"{type(error).__name__}: {error}"
        waits = known is not None and known.retryable
        if not waits and (known is not None or failures >= self.settings.attempts):
            log.error("given up", exc_info=error, extra={"type": event.type, "failures": failures})
            self._give_up(consumer, delivery, event, known.code if known else "internal", reason)
            return
        count_failure(self.store, event)
        delay = self.settings.retry_delay * 2 ** min(failures - 1, 30)
        delay = min(delay, self.settings.retry_delay_most)
        extra = {"type": event.type, "failures": failures, "delay": delay, "reason": reason}
        log.warning("failed, will be tried again", exc_info=None if known else error, extra=extra)
        consumer.retry(delivery, delay, reason)

    def _give_up(
        self, consumer: Consumer, delivery: Delivery, event: Event, code: str, reason: str
    ) -> None:
        """State the failure, then bury the event. A replay of the dead letter is tried afresh."""
        metrics.dead_letters_total.labels(self.name).inc()
        with UnitOfWork(self.store) as uow:
            uow.publish(
                DocumentFailed(
                    tenant=event.tenant,
                    document_id=event.document_id,
                    trace=event.trace,
                    cause=event.id,
                    stage=self.name,
                    code=code,
                    reason=reason,
                    attempt=getattr(event, "attempt", 1),
                )
            )
            forget_tries(uow.session, event)
        consumer.dead(delivery, reason)

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now - self._lag_measured > LAG_EVERY:
            self._lag_measured = now
            metrics.bus_lag.labels(self.name).set(self.bus.lag(self.name))

    def _drop_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close()
            except SuiteError as error:
                log.warning("the consumer did not close cleanly", extra={"reason": error.message})
