"""The relay: copies the outbox to the bus, and marks an event sent only after the bus acknowledged
it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import metrics
from shared.bus import Bus, Message, MessageTooLarge
from shared.errors import Unavailable
from shared.storage.engine import Store
from shared.storage.listening import Listening
from shared.storage.messages import inbox, outbox, relay_lease
from shared.tracing import Carried

log = logging.getLogger(__name__)

BATCH = 200
LEASE = timedelta(seconds=10)
HEARING_SECONDS = 2.0
"""Between two looks into the outbox while the database itself says when something is in it."""
PRUNE_BATCH = 500
"""Rows that are removed at once, so that nobody waits long for the database."""
MEASURE_EVERY = 15.0
"""Seconds between two looks at what waits for the service."""
PRUNE_EVERY = 3600.0
"""Seconds between two looks for rows that are old enough to go."""


class Relay:
    """One of possibly several relays of a service; a lease lets one work at a time, in order."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        interval: float = 0.2,
        owner: str | None = None,
        *,
        outbox_days: float = 7,
        inbox_days: float = 30,
    ) -> None:
        self.store = store
        self.bus = bus
        self.interval = interval
        self.owner = owner or uuid.uuid4().hex
        self.outbox_kept = timedelta(days=outbox_days)
        self.inbox_kept = timedelta(days=inbox_days)
        self._prune_at = 0.0
        self._measure_at = 0.0
        self._unsent_since: datetime | None = None
        self._unworked_since: datetime | None = None
        self._blind = False
        """Whether the last look at what is begun failed: no age is true until one does not."""

    def run_once(self) -> int:
        """Send what waits. Returns how many were sent; 0 also if another relay holds the lease."""
        with self.store.read() as session:
            lease = _lease(session)
            held = self._holds(lease)
            rows = _unsent(session) if held else []
        if not held:
            if not self._take(lease):
                self._unsent_since = None  # its holder measures it
                return 0
            with self.store.read() as session:
                rows = _unsent(session)
        self._prune()
        self._unsent_since = rows[0].created if rows else None
        self._tell_age()
        if not rows:
            return 0
        self._publish(rows)
        with self.store.write() as session:
            numbers = [row.number for row in rows]
            session.execute(
                update(outbox).where(outbox.c.number.in_(numbers)).values(sent=datetime.now(UTC))
            )
        return len(rows)

    def _publish(self, rows: Sequence[Any]) -> None:
        """Publish in order. What no bus takes is set aside, so that it holds up nobody."""
        messages = [
            Message(key=row.key, value=bytes(row.value), headers=_headers(row.value))
            for row in rows
        ]
        try:
            self.bus.publish(*messages)
        except MessageTooLarge:
            for row, message in zip(rows, messages, strict=True):
                try:
                    self.bus.publish(message)
                except MessageTooLarge as error:
                    extra = {"event": row.event_id, "key": row.key, "reason": error.message}
                    log.error("an event is set aside unsent", extra=extra)  # noqa: TRY400

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; a bus or database that is away is waited for.

        `beat` is called each time the loop comes round.
        """
        listening = self.store.listening()
        listening.start()
        try:
            self._run(stop, beat, listening)
        finally:
            listening.stop()
        self._give_lease_back()

    def _run(self, stop: threading.Event, beat: Callable[[], None], listening: Listening) -> None:
        pause = self.interval
        while not stop.is_set():
            beat()
            self.store.outbox_filled.clear()
            try:
                sent = self.run_once()
                pause = max(self.interval, HEARING_SECONDS if listening.hears else 0.0)
            except Unavailable as error:
                log.warning("events wait in the outbox", extra={"reason": error.message})
                sent, pause = 0, min(pause * 2, 10.0)
            except Exception:
                log.exception("the relay failed; it goes on")
                sent, pause = 0, min(pause * 2, 10.0)
            self.measure()
            if sent < BATCH:  # what came since has set it
                self.store.outbox_filled.wait(pause)

    def waiting(self) -> int:
        """How many events are not sent yet."""
        with self.store.read() as session:
            return int(
                session.execute(
                    select(func.count()).select_from(outbox).where(outbox.c.sent.is_(None))
                ).scalar_one()
            )

    def _prune(self) -> None:
        """Now and then, remove events that were sent long ago, and what is known of those that
        were handled long ago: by then no bus delivers them a second time.
        """
        if time.monotonic() < self._prune_at:
            return
        now = datetime.now(UTC)
        old_outbox = select(outbox.c.number).where(outbox.c.sent < now - self.outbox_kept)
        old_inbox = select(inbox.c.event_id).where(inbox.c.handled < now - self.inbox_kept)
        with self.store.read() as session:
            sent = session.execute(old_outbox.limit(PRUNE_BATCH)).scalars().all()
            handled = session.execute(old_inbox.limit(PRUNE_BATCH)).scalars().all()
        if sent or handled:
            with self.store.write() as session:
                session.execute(delete(outbox).where(outbox.c.number.in_(sent)))
                session.execute(delete(inbox).where(inbox.c.event_id.in_(handled)))
        if max(len(sent), len(handled)) < PRUNE_BATCH:
            self._prune_at = time.monotonic() + PRUNE_EVERY

    def _give_lease_back(self) -> None:
        try:
            with self.store.write() as session:
                session.execute(delete(relay_lease).where(relay_lease.c.owner == self.owner))
        except Unavailable as error:
            log.info("the relay's lease runs out by itself", extra={"reason": error.message})

    def measure(self) -> None:
        """Now and then, measure what waits for the service: also while its workers are busy, or
        gone, in which case nobody else would tell. What was put off waits as it is meant to, until
        its time is over. What can't be measured is told no more, so that it is missed: without the
        database neither of both, for what users feel then is told by no number. Never raises.
        """
        if time.monotonic() < self._measure_at:
            return
        self._measure_at = time.monotonic() + MEASURE_EVERY
        service = self.store.service
        self._blind = True
        with metrics.or_untold(service, metrics.bus_lag, metrics.queue_age_seconds):
            self._unworked_since = self._oldest_unworked()
            self._blind = False
        if self._blind:
            return
        self._tell_age()
        with metrics.or_untold(service, metrics.bus_lag):
            metrics.bus_lag.labels(service).set(self.bus.lag(service))

    def _oldest_unworked(self) -> datetime | None:
        """Since when the oldest event has been waiting that was begun and has not ended."""
        now = datetime.now(UTC)
        with self.store.read() as session:
            oldest: datetime | None = session.execute(
                select(func.min(inbox.c.first_seen)).where(
                    inbox.c.handled.is_(None),
                    inbox.c.given_up.is_(None),
                    inbox.c.key.is_not(None),
                    inbox.c.first_seen > now - self.inbox_kept,
                    or_(inbox.c.began.is_not(None), inbox.c.next_try <= now),
                )
            ).scalar()
        return oldest

    def _tell_age(self) -> None:
        if self._blind:
            return
        begun = [since for since in (self._unsent_since, self._unworked_since) if since]
        age = (datetime.now(UTC) - min(begun)).total_seconds() if begun else 0.0
        metrics.queue_age_seconds.labels(self.store.service).set(max(age, 0.0))

    def _holds(self, row: Any) -> bool:
        """Whether the lease, as it stands, is ours for long enough not to be renewed yet."""
        return row is not None and row.owner == self.owner and _left(row) > LEASE / 2

    def _take(self, row: Any) -> bool:
        """Take or renew the lease that stands as `row`. Returns whether it is ours now."""
        if row is not None and row.owner != self.owner and _left(row) > timedelta(0):
            return False
        now = datetime.now(UTC)
        try:
            with self.store.write() as session:
                if row is None:
                    session.execute(
                        insert(relay_lease).values(
                            name="relay", owner=self.owner, until=now + LEASE
                        )
                    )
                    return True
                taken = session.execute(
                    update(relay_lease)
                    .where(
                        relay_lease.c.name == "relay",
                        relay_lease.c.owner == row.owner,
                        relay_lease.c.until == row.until,
                    )
                    .values(owner=self.owner, until=now + LEASE)
                )
                return taken.rowcount == 1  # type: ignore[attr-defined, no-any-return]
        except IntegrityError:
            return False


def _lease(session: Session) -> Any:
    """Who holds it until when; None: nobody ever did."""
    return session.execute(select(relay_lease).where(relay_lease.c.name == "relay")).one_or_none()


def _left(row: Any) -> timedelta:
    """Further ahead than a lease can be, the clock was set back: it counts as run out."""
    left: timedelta = row.until - datetime.now(UTC)
    return left if left <= LEASE else timedelta(0)


def _unsent(session: Session) -> Sequence[Any]:
    """The first events that wait."""
    return session.execute(
        select(outbox.c.number, outbox.c.event_id, outbox.c.key, outbox.c.value, outbox.c.created)
        .where(outbox.c.sent.is_(None))
        .order_by(outbox.c.number)
        .limit(BATCH)
    ).all()


def _headers(value: bytes) -> dict[str, str]:
    """The context of the trace that stands in an event, for what looks at headers alone."""
    try:
        envelope = json.loads(value)
    except ValueError:
        return {}
    return Carried.read(envelope.get("traceparent"), envelope.get("tracestate")).headers
