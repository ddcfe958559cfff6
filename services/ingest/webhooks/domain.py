"""Webhooks, messages, deliveries, and the retry policy."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

EventType = Literal[
    "document.ended",
    "document.deleted",
    "clauses.extracted",
    "findings.found",
    "review.decided",
]
TEST = "webhook.test"
"""Type of the test message."""

DeliveryState = Literal["pending", "delivered", "failed"]

LONGEST_WAIT = timedelta(days=1)
"""Longest accepted `Retry-After`."""
MAX_PAUSE = timedelta(minutes=5)
GONE = 410
_LONGEST_DELAY = 30 * 86_400.0


@dataclass(frozen=True)
class Health:
    """Recent failures of a webhook. Enabling it or changing its URL resets them."""

    failures: int = 0
    """Number of failures in a row."""
    failing_since: datetime | None = None
    """First failure in the row; None after a success."""
    last_failed: datetime | None = None
    last_delivered: datetime | None = None
    paused_until: datetime | None = None
    """No message is sent before this time."""


@dataclass(frozen=True)
class Webhook:
    """A receiver of one tenant."""

    id: str
    tenant: str
    url: str
    types: tuple[str, ...]
    """Event types that are sent; empty: all."""
    created: datetime
    created_by: str
    updated: datetime
    secret: str = field(repr=False)
    description: str = ""
    enabled: bool = True
    disabled_reason: str | None = None
    old_secret: str | None = field(default=None, repr=False)
    old_secret_until: datetime | None = None
    health: Health = Health()

    def secrets(self, now: datetime) -> tuple[str, ...]:
        if self.old_secret and self.old_secret_until and now < self.old_secret_until:
            return (self.secret, self.old_secret)
        return (self.secret,)

    def disabled(self, reason: str, now: datetime) -> Webhook:
        return replace(self, enabled=False, disabled_reason=reason, updated=now)


@dataclass(frozen=True)
class Message:
    """An event as customers see it; the same for all their webhooks."""

    id: str
    tenant: str
    type: str
    time: datetime
    """When it happened."""
    data: dict[str, Any]
    document_id: str | None = None
    trace: str | None = None
    """`traceparent` of the event."""


@dataclass(frozen=True)
class Attempt:
    """One request to a receiver."""

    time: datetime
    seconds: float
    status: int | None
    error: str | None
    """`code: sentence`; None after a success."""
    excerpt: str | None
    """Beginning of the response; None once the document is deleted."""


@dataclass(frozen=True)
class Delivery:
    """One message to one webhook."""

    number: int
    """Order of deliveries in a deployment."""
    id: str
    webhook_id: str
    message_id: str
    type: str
    document_id: str | None
    state: DeliveryState
    reason: str | None
    """Reason of the last failure."""
    tries: int
    """Number of tries since its creation or last request."""
    round: int
    """Number of repeated requests."""
    due: datetime | None
    """Next try; None if there is none."""
    created: datetime
    delivered: datetime | None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The result of one attempt: a status, or an error before it."""

    seconds: float
    status: int | None = None
    error: str | None = None
    """`code: sentence`; None after a success."""
    excerpt: str = ""
    retry_after: float | None = None
    """Retry-After of the receiver, in seconds."""

    @property
    def delivered(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Plan:
    """When to retry a message, pause a webhook, and disable it.

    Args:
        delays: seconds after each failed try of a message.
        pause: seconds for which a webhook pauses after a failure; doubled by each further one in
            a row, up to five minutes.
        disable_after: time without any success after which a webhook is disabled.
        spread: share by which a delay varies, to spread the load.
        chance: a number between -1 and 1.
    """

    delays: tuple[float, ...]
    pause: float = 1.0
    disable_after: timedelta = timedelta(days=5)
    spread: float = 0.1
    chance: Callable[[], float] = lambda: random.uniform(-1.0, 1.0)

    def next_try(self, kind: str, tries: int, answer: Answer, now: datetime) -> datetime | None:
        if kind == TEST or tries > len(self.delays) or answer.status == GONE:
            return None
        delay = self.delays[tries - 1] * (1 + self.spread * self.chance())
        return max(now + timedelta(seconds=delay), now + _wanted_pause(answer))

    def health_after(self, health: Health, answer: Answer, now: datetime) -> Health:
        if answer.delivered:
            return Health(last_failed=health.last_failed, last_delivered=now)
        failures = health.failures + 1
        pause = timedelta(seconds=self.pause * 2 ** min(failures - 1, 20))
        return Health(
            failures=failures,
            failing_since=health.failing_since if self._goes_on(health, now) else now,
            last_failed=now,
            last_delivered=health.last_delivered,
            paused_until=now + max(min(pause, MAX_PAUSE), _wanted_pause(answer)),
        )

    def why_disabled(self, health: Health, answer: Answer, now: datetime) -> str | None:
        """Return why to disable a webhook after an attempt; None to leave it enabled."""
        if answer.status == GONE:
            return "gone: the receiver answered 410"
        since = health.failing_since
        if answer.delivered or since is None or now - since < self.disable_after:
            return None
        return (
            f"failing: no message was accepted since {since:%Y-%m-%d %H:%M} UTC; "
            f"last error: {answer.error}"
        )

    def _goes_on(self, health: Health, now: datetime) -> bool:
        """Whether a row of failures goes on."""
        longest = timedelta(seconds=2 * max(self.delays, default=0.0))
        last = health.last_failed
        return health.failing_since is not None and last is not None and now - last <= longest


def read_delays(text: str) -> tuple[float, ...]:
    """Parse comma-separated seconds. Raises ValueError."""
    delays = tuple(float(part) for part in text.split(",") if part.strip())
    if not all(0 < delay <= _LONGEST_DELAY for delay in delays):
        raise ValueError("a delay must be above 0 seconds and at most 30 days")
    return delays


def _wanted_pause(answer: Answer) -> timedelta:
    return min(timedelta(seconds=answer.retry_after or 0.0), LONGEST_WAIT)


def new_webhook_id() -> str:
    """Return a random id."""
    return f"wh_{uuid.uuid4().hex}"


def message_id(tenant: str, kind: str, *facts: object) -> str:
    """Return the id of a message: the same for the same facts."""
    return f"msg_{_digest(tenant, kind, *facts)}"


def delivery_id(webhook_id: str, message: str) -> str:
    """Return the id of the one delivery of a message to a webhook."""
    return f"dl_{_digest(webhook_id, message)}"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
