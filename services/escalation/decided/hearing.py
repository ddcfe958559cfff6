"""The job that hears what people decide.

The events of a document are worked on in order, so a decision that stands behind a request would be
heard when that is over. It is heard here, by a group of its own on the bus, that does nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from services.escalation.decided.store import Decided
from shared.bus import Bus, Consumer, Delivery
from shared.errors import SuiteError, Unavailable
from shared.events import (
    TYPES,
    DocumentDeleted,
    Event,
    ReviewDecided,
    UnknownEvent,
    open_envelope,
    read_envelope,
)
from shared.runtime.pulse import Pulse
from shared.storage import Store

log = logging.getLogger(__name__)

GROUP = "escalation-decisions"
"""On the bus, beside that of the workers."""
POLL = 0.5
AGAIN = 1.0
"""Seconds after which a decision that could not be kept comes again."""


def _note(session: Any, event: ReviewDecided) -> None:
    Decided(session, event.tenant).note(event)


def _forget(session: Any, event: DocumentDeleted) -> None:
    Decided(session, event.tenant).forget(event.document_id)


HEARD: Mapping[type[Event], Callable[[Any, Any], None]] = {
    ReviewDecided: _note,
    DocumentDeleted: _forget,
}


class Hearing:
    """Keeps what people decide, as soon as they do. Doing it twice is as good as once."""

    name = "decisions"

    def __init__(self, store: Store, bus: Bus) -> None:
        self.store = store
        self.bus = bus
        self.pulse = Pulse()
        self._consumer: Consumer | None = None

    def run(self, stop: threading.Event) -> None:
        """Hear until `stop` is set; a bus or database that is away is waited for."""
        while not stop.is_set():
            try:
                self.run_once(POLL)
            except SuiteError as error:
                log.warning("decisions wait", extra={"reason": error.message})
                self._leave()
                stop.wait(AGAIN)
            except Exception:
                log.exception("decisions could not be heard; it goes on")
                self._leave()
                stop.wait(AGAIN)
        self._leave()

    def run_once(self, timeout: float = 0.0) -> bool:
        """Hear one event at the most. Returns whether there was one."""
        self.pulse.beat()
        if self._consumer is None:
            self._consumer = self.bus.consumer(GROUP)
        delivery = self._consumer.receive(timeout)
        if delivery is None:
            return False
        try:
            self._hear(delivery)
        except Unavailable as error:
            self._consumer.retry(delivery, AGAIN, error.message)
            raise
        except Exception:
            log.exception(
                "a decision could not be kept: what it is about may be asked all the same"
            )
        self._consumer.ack(delivery)
        return True

    def run_until_idle(self) -> int:
        """Hear until nothing waits (for tests). Returns how many events were seen."""
        seen = 0
        while self.run_once():
            seen += 1
        return seen

    def _hear(self, delivery: Delivery) -> None:
        try:
            envelope = read_envelope(delivery.message.value)
            kind = TYPES.get(envelope.type)
            if kind is None or kind not in HEARD:
                return
            event = open_envelope(envelope, kind)
        except UnknownEvent:
            return  # the workers bury it
        with self.store.write() as session:
            HEARD[kind](session, event)

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close()
            except SuiteError as error:
                log.warning("the consumer did not close cleanly", extra={"reason": error.message})
