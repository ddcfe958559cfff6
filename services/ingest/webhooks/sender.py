"""The loop that sends messages: several webhooks at once, each by one thread at a time.

A turn leases one webhook, sends some messages in order, and records each attempt before the next.
If a process is killed, its lease expires and the message is sent again under the same id. After its
turn a webhook goes to the end of the queue. After a failure it pauses. So a slow or dead receiver
does not delay the others.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from services.ingest.domain import now_utc
from services.ingest.webhooks.domain import Answer, Attempt, Delivery, Message, Plan, Webhook
from services.ingest.webhooks.messages import body_of
from services.ingest.webhooks.post import Poster
from services.ingest.webhooks.signatures import signed_headers
from services.ingest.webhooks.store import Queue, Turn
from shared import metrics
from shared.errors import Unavailable
from shared.logs import log_context
from shared.runtime.pulse import Heartbeat
from shared.tracing import DOCUMENT, TENANT, Carried, Value, entered
from shared.version import VERSION

log = logging.getLogger(__name__)

TURN = 10
"""Messages per turn."""
TURN_SECONDS = 10.0
"""A turn ends with the message in progress after this time."""
PRUNE_EVERY = 3600.0
STOP_SECONDS = 5.0
"""Time for messages in progress at shutdown; later ones are sent again."""


class Sender:
    """Sends messages until it is stopped. Each process may run one.

    Args:
        threads: webhooks served at the same time.
        interval: seconds between two queries.
        origin: precedes the links in messages; empty: links are paths.
        log_age: how long the log is stored.
        owner: of the leases; fixed if no other process can be running.
    """

    def __init__(
        self,
        queue: Queue,
        poster: Poster,
        plan: Plan,
        *,
        threads: int = 16,
        interval: float = 1.0,
        origin: str = "",
        log_age: timedelta = timedelta(days=30),
        owner: str | None = None,
    ) -> None:
        self.name = "webhooks"
        self.pulse = Heartbeat()
        self.queue = queue
        self.poster = poster
        self.plan = plan
        self.interval = interval
        self.origin = origin
        self.log_age = log_age
        self.owner = owner or uuid.uuid4().hex
        self._threads = threads
        self._free = threading.BoundedSemaphore(threads)
        self._wake = threading.Event()
        self._prune_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Send due messages until `stop` is set; wait while the database is down."""
        pause, released = self.interval, False
        while not stop.is_set():
            self.pulse.beat()
            self._wake.clear()
            try:
                if not released:
                    self.queue.release_all(self.owner)
                    released = True
                self._start_turns(stop)
                self._prune()
                pause = self.interval
            except Unavailable as error:
                log.warning("the database is down; webhooks wait", extra={"reason": error.message})
                pause = min(pause * 2, 10.0)
            except Exception:
                log.exception("sending to webhooks failed; it will be retried")
                pause = min(pause * 2, 10.0)
            self._wake.wait(pause)
        self._finish()

    def serve_next(self, stop: threading.Event | None = None) -> bool:
        """Serve one webhook in this thread. Returns whether one had a due message."""
        turn = self.queue.claim(self.owner, now_utc(), TURN)
        if turn is None:
            return False
        self._serve(turn, stop or threading.Event())
        return True

    def _start_turns(self, stop: threading.Event) -> None:
        """Start a turn in a new thread for each free thread and due webhook."""
        while not stop.is_set() and self._free.acquire(blocking=False):
            turn = None
            try:
                turn = self.queue.claim(self.owner, now_utc(), TURN)
                if turn is None:
                    return
                name = f"webhook-{turn.webhook.id}"
                thread = threading.Thread(
                    target=self._serve_and_free, args=(turn, stop), name=name, daemon=True
                )
                thread.start()
            finally:
                if turn is None:
                    self._free.release()

    def _serve_and_free(self, turn: Turn, stop: threading.Event) -> None:
        try:
            self._serve(turn, stop)
        except Unavailable as error:
            extra = {"webhook": turn.webhook.id, "reason": error.message}
            log.warning("an attempt could not be recorded; it will be repeated", extra=extra)
        except Exception:
            log.exception("serving a webhook failed", extra={"webhook": turn.webhook.id})
        finally:
            self._free.release()
            self._wake.set()

    def _serve(self, turn: Turn, stop: threading.Event) -> None:
        """Send due messages while the receiver accepts them and the turn lasts."""
        until = time.monotonic() + TURN_SECONDS
        for delivery, message in turn.due:
            goes_on = self._send(turn, delivery, message)
            if not goes_on or stop.is_set() or time.monotonic() > until:
                break
        self.queue.release(turn)

    def _send(self, turn: Turn, delivery: Delivery, message: Message) -> bool:
        """Make one attempt and record it. Returns whether the next may follow."""
        webhook, began = turn.webhook, now_utc()
        body = body_of(message, self.origin)
        headers = {
            **signed_headers(message.id, began, body, webhook.secrets(began)),
            "content-type": "application/json",
            "user-agent": f"smallprint/{VERSION}",
        }
        about: dict[str, Value | None] = {
            DOCUMENT: message.document_id,
            TENANT: message.tenant,
            "smallprint.webhook": webhook.id,
            "smallprint.message": message.id,
        }
        came = Carried.read(message.trace)
        with (
            log_context(document=message.document_id),
            entered("ingest", f"webhook {message.type}", came, "client", about) as span,
        ):
            answer = self.poster.post(webhook.url, headers, body)
            span.set({"http.response.status_code": answer.status})
            if answer.error:
                span.fail(answer.error.partition(":")[0])
            _log(webhook, delivery, answer)
        metrics.stage_seconds.labels("ingest", self.name).observe(answer.seconds)
        now = now_utc()
        due = None
        if not answer.delivered:
            due = self.plan.next_try(delivery.type, delivery.tries + 1, answer, now)
        attempt = Attempt(began, answer.seconds, answer.status, answer.error, answer.excerpt)
        return self.queue.note(
            turn, delivery, attempt, due, lambda before: self._after(before, answer, now)
        )

    def _after(self, before: Webhook, answer: Answer, now: datetime) -> Webhook:
        """Return the webhook after one more attempt, disabled if it failed too long."""
        after = replace(before, health=self.plan.health_after(before.health, answer, now))
        why = self.plan.why_disabled(after.health, answer, now)
        if why is None or not before.enabled:
            return after
        log.warning("a webhook is disabled", extra={"webhook": before.id, "reason": why})
        return after.disabled(why, now)

    def _prune(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        if not self.queue.prune(now_utc() - self.log_age):
            self._prune_at = time.monotonic() + PRUNE_EVERY

    def _finish(self) -> None:
        """Wait briefly for messages in progress; their threads end with the process."""
        until = time.monotonic() + STOP_SECONDS
        for _ in range(self._threads):
            if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
                log.info("unfinished messages will be sent again")
                return


def _log(webhook: Webhook, delivery: Delivery, answer: Answer) -> None:
    extra = {
        "webhook": webhook.id,
        "tenant": webhook.tenant,
        "message_id": delivery.message_id,
        "type": delivery.type,
        "status": answer.status,
        "seconds": round(answer.seconds, 3),
    }
    if answer.error:
        log.info("a webhook refused a message", extra={**extra, "reason": answer.error})
    else:
        log.info("a webhook accepted a message", extra=extra)
