"""The relay: copies the outbox to the bus, and marks an event as sent after the bus has it."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import metrics
from shared.bus import Bus, Message, MessageTooLarge
from shared.errors import Unavailable
from shared.messaging.inbox import ORDERED, Inbox
from shared.messaging.tables import inbox, outbox, relay_lease
from shared.storage.engine import Store
from shared.storage.notifications import Notifications
from shared.storage.tenant_isolation import across_tenants
from shared.tracing import Carried

log = logging.getLogger(__name__)

BATCH = 200
LEASE = timedelta(seconds=10)
NOTIFIED_SECONDS = 2.0
"""Seconds between two polls of the outbox while the database sends notifications."""
PRUNE_BATCH = 500
"""Rows that are removed in one transaction, so that nobody waits long for it."""
MEASURE_EVERY = 15.0
"""Seconds between two measurements of waiting events."""
PRUNE_EVERY = 3600.0
"""Seconds between two searches for old rows."""


class Relay:
    """A relay of a service. A lease lets only one work at a time, so events stay in order."""

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
        self._inbox = Inbox(store)
        self._prune_at = 0.0
        self._measure_at = 0.0
        self._unsent_since: datetime | None = None
        self._unworked_since: datetime | None = None
        self._age_unknown = False
        """Whether the last measurement failed."""

    def run_once(self) -> int:
        """Send waiting events. Returns their number; 0 also if another relay has the lease."""
        with self.store.read() as session:
            lease = _lease(session)
            is_ours = self._holds(lease)
            rows = _unsent(session) if is_ours else []
        if not is_ours:
            if not self._take(lease):
                self._unsent_since = None  # the relay with the lease measures it
                return 0
            with self.store.read() as session:
                rows = _unsent(session)
        self._prune()
        self._unsent_since = rows[0].created if rows else None
        self._set_age()
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
        """Publish in order. An event that is too large for the bus is skipped and logged."""
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
                    log.error("an event is too large to be sent", extra=extra)  # noqa: TRY400

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set. It waits while the bus or the database is unavailable.

        `beat` is called in each round of the loop.
        """
        listening = self.store.listening()
        listening.start()
        try:
            self._run(stop, beat, listening)
        finally:
            listening.stop()
        self._release_lease()

    def _run(
        self, stop: threading.Event, beat: Callable[[], None], listening: Notifications
    ) -> None:
        pause = self.interval
        while not stop.is_set():
            beat()
            self.store.outbox_filled.clear()
            try:
                sent = self.run_once()
                pause = max(self.interval, NOTIFIED_SECONDS if listening.is_listening else 0.0)
            except Unavailable as error:
                log.warning("events wait in the outbox", extra={"reason": error.message})
                sent, pause = 0, min(pause * 2, 10.0)
            except Exception:
                log.exception("the relay failed; it continues")
                sent, pause = 0, min(pause * 2, 10.0)
            self.measure()
            if sent < BATCH:  # a commit since then has set it
                self.store.outbox_filled.wait(pause)

    def waiting(self) -> int:
        """The number of unsent events."""
        with self.store.read() as session:
            return int(
                session.execute(
                    select(func.count()).select_from(outbox).where(outbox.c.sent.is_(None))
                ).scalar_one()
            )

    def _prune(self) -> None:
        """Once an hour, remove old rows, whose events no bus delivers again."""
        if time.monotonic() < self._prune_at:
            return
        now = datetime.now(UTC)
        old_outbox = select(outbox.c.number).where(outbox.c.sent < now - self.outbox_kept)
        old_inbox = select(inbox.c.number).where(
            inbox.c.state.in_(("done", "dropped")), inbox.c.ended < now - self.inbox_kept
        )
        with self.store.read() as session:
            sent = session.execute(old_outbox.limit(PRUNE_BATCH)).scalars().all()
            old_inbox = across_tenants(old_inbox.limit(PRUNE_BATCH), "upkeep")
            handled = session.execute(old_inbox).scalars().all()
        if sent or handled:
            with self.store.write() as session:
                session.execute(delete(outbox).where(outbox.c.number.in_(sent)))
                gone = delete(inbox).where(inbox.c.number.in_(handled))
                session.execute(across_tenants(gone, "upkeep"))
        if max(len(sent), len(handled)) < PRUNE_BATCH:
            self._prune_at = time.monotonic() + PRUNE_EVERY

    def _release_lease(self) -> None:
        try:
            with self.store.write() as session:
                session.execute(delete(relay_lease).where(relay_lease.c.owner == self.owner))
        except Unavailable as error:
            log.info("the relay's lease ends by itself", extra={"reason": error.message})

    def measure(self) -> None:
        """Measure the waiting events every `MEASURE_EVERY` seconds, also if no worker runs.

        Values that can't be measured are removed, so that alerts notice. Never raises.
        """
        if time.monotonic() < self._measure_at:
            return
        self._measure_at = time.monotonic() + MEASURE_EVERY
        service = self.store.service
        self._age_unknown = True
        with metrics.removed_on_error(service, metrics.bus_lag, metrics.queue_age_seconds):
            self._unworked_since = self._oldest_unworked()
            self._age_unknown = False
        if self._age_unknown:
            return
        self._set_age()
        with metrics.removed_on_error(service, metrics.bus_lag):
            waiting = self.bus.lag(self._inbox.positions()) + self._inbox.unfinished()
            metrics.bus_lag.labels(service).set(waiting)

    def _oldest_unworked(self) -> datetime | None:
        """Return when the oldest begun and unfinished event was received."""
        now = datetime.now(UTC)
        with self.store.read() as session:
            begun = select(func.min(inbox.c.first_seen)).where(
                inbox.c.ended.is_(None),
                inbox.c.began.is_not(None),
                inbox.c.queue.in_(ORDERED),
                inbox.c.first_seen > now - self.inbox_kept,
            )
            oldest: datetime | None = session.execute(across_tenants(begun, "upkeep")).scalar()
        return oldest

    def _set_age(self) -> None:
        if self._age_unknown:
            return
        begun = [since for since in (self._unsent_since, self._unworked_since) if since]
        age = (datetime.now(UTC) - min(begun)).total_seconds() if begun else 0.0
        metrics.queue_age_seconds.labels(self.store.service).set(max(age, 0.0))

    def _holds(self, row: Any) -> bool:
        """Whether this relay has the lease, and need not renew it yet."""
        return row is not None and row.owner == self.owner and _left(row) > LEASE / 2

    def _take(self, row: Any) -> bool:
        """Take or renew the lease in `row`. Returns whether this relay has it now."""
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
    """The lease; None if it was never taken."""
    return session.execute(select(relay_lease).where(relay_lease.c.name == "relay")).one_or_none()


def _left(row: Any) -> timedelta:
    """The time until the lease ends; zero if it is too long, because the clock was set back."""
    left: timedelta = row.until - datetime.now(UTC)
    return left if left <= LEASE else timedelta(0)


def _unsent(session: Session) -> Sequence[Any]:
    """The first unsent events."""
    return session.execute(
        select(outbox.c.number, outbox.c.event_id, outbox.c.key, outbox.c.value, outbox.c.created)
        .where(outbox.c.sent.is_(None))
        .order_by(outbox.c.number)
        .limit(BATCH)
    ).all()


def _headers(value: bytes) -> dict[str, str]:
    """The trace context of an event, as headers of its message."""
    try:
        envelope = json.loads(value)
    except ValueError:
        return {}
    return Carried.read(envelope.get("traceparent"), envelope.get("tracestate")).headers
