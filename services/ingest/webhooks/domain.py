"""Webhooks, their messages and deliveries as plain data, and the plan by which they are sent."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

EventType = Literal[
    "document.ended",
    "document.deleted",
    "clauses.extracted",
    "findings.found",
    "review.decided",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
TEST = "webhook.test"
"""Type of the message that is sent on request, to see whether a receiver works."""

DeliveryState = Literal["pending", "delivered", "failed"]

LONGEST_WAIT = timedelta(days=1)
"""For which a receiver may ask to be left alone."""
LONGEST_REST = timedelta(minutes=5)
GONE = 410
_LONGEST_DELAY = 30 * 86_400.0


@dataclass(frozen=True)
class Health:
    """How sending to one webhook goes. All is forgotten when it is enabled or gets another URL."""

    failures: int = 0
    """In a row."""
    failing_since: datetime | None = None
    """Beginning of the row; None after a success."""
    last_failed: datetime | None = None
    last_delivered: datetime | None = None
    rests_until: datetime | None = None
    """Nothing is sent before."""


@dataclass(frozen=True)
class Webhook:
    """One address of one tenant, and what is sent there."""

    id: str
    tenant: str
    url: str
    types: tuple[str, ...]
    """Of the events that are sent; none named: all."""
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

    def wants(self, kind: str) -> bool:
        """Whether it is sent events of this type."""
        return not self.types or kind in self.types

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """The secrets that messages are signed with now, the newest first."""
        if self.old_secret and self.old_secret_until and now < self.old_secret_until:
            return (self.secret, self.old_secret)
        return (self.secret,)

    def disabled(self, reason: str, now: datetime) -> Webhook:
        """The same, to which nothing is sent any more."""
        return replace(self, enabled=False, disabled_reason=reason, updated=now)


@dataclass(frozen=True)
class Message:
    """Something that happened, as customers are told of it; the same for all their webhooks."""

    id: str
    tenant: str
    type: str
    time: datetime
    """When it happened."""
    data: dict[str, Any]
    document_id: str | None = None
    trace: str | None = None
    """`traceparent` of what it tells of."""


@dataclass(frozen=True)
class Attempt:
    """One request to a receiver."""

    time: datetime
    seconds: float
    status: int | None
    error: str | None
    """`code: sentence`; None if it was taken."""
    excerpt: str | None
    """The beginning of the answer; None once the document that it may speak of is deleted."""


@dataclass(frozen=True)
class Delivery:
    """One message to one webhook."""

    number: int
    """Orders the deliveries of an installation."""
    id: str
    webhook_id: str
    message_id: str
    type: str
    document_id: str | None
    state: DeliveryState
    reason: str | None
    """Why it has failed, or why the last try did."""
    tries: int
    """Since it was made, or asked for again by hand."""
    round: int
    """How often it was asked for again."""
    due: datetime | None
    """When it is tried next; None if it is not."""
    created: datetime
    delivered: datetime | None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Answer:
    """How one attempt ended: with a status, or with an error before there was one."""

    seconds: float
    status: int | None = None
    error: str | None = None
    """`code: sentence`; None if the receiver took the message."""
    excerpt: str = ""
    retry_after: float | None = None
    """Seconds for which the receiver asked to be left alone."""

    @property
    def delivered(self) -> bool:
        """Whether the receiver took the message: any status from 200 to 299."""
        return self.error is None


@dataclass(frozen=True)
class Plan:
    """When a message is tried again, how long a failing receiver is left alone, and when given up.

    Args:
        delays: seconds after the first, second, … failed try of a message.
        rest: seconds for which a webhook rests after a failure of any message; doubles with each
            further one in a row, up to five minutes.
        disable_after: for so long nothing got through, and the webhook is disabled.
        spread: by which share a delay is longer or shorter by chance, so that not all come at once.
        chance: a number between -1 and 1.
    """

    delays: tuple[float, ...]
    rest: float = 1.0
    disable_after: timedelta = timedelta(days=5)
    spread: float = 0.1
    chance: Callable[[], float] = lambda: random.uniform(-1.0, 1.0)

    def next_try(self, kind: str, tries: int, answer: Answer, now: datetime) -> datetime | None:
        """When a message that has failed so often is tried again; None if it is given up."""
        if kind == TEST or tries > len(self.delays) or answer.status == GONE:
            return None
        delay = self.delays[tries - 1] * (1 + self.spread * self.chance())
        return max(now + timedelta(seconds=delay), now + _wanted_pause(answer))

    def health_after(self, health: Health, answer: Answer, now: datetime) -> Health:
        """How a webhook fares after one more attempt."""
        if answer.delivered:
            return Health(last_failed=health.last_failed, last_delivered=now)
        failures = health.failures + 1
        rest = timedelta(seconds=self.rest * 2 ** min(failures - 1, 20))
        return Health(
            failures=failures,
            failing_since=health.failing_since if self._goes_on(health, now) else now,
            last_failed=now,
            last_delivered=health.last_delivered,
            rests_until=now + max(min(rest, LONGEST_REST), _wanted_pause(answer)),
        )

    def why_disabled(self, health: Health, answer: Answer, now: datetime) -> str | None:
        """Why a webhook with this health is to be disabled after an attempt; None if it is not."""
        if answer.status == GONE:
            return "gone: the receiver answered 410, it wants no more messages"
        since = health.failing_since
        if answer.delivered or since is None or now - since < self.disable_after:
            return None
        return f"failing: nothing was taken since {since:%Y-%m-%d %H:%M} UTC; last {answer.error}"

    def _goes_on(self, health: Health, now: datetime) -> bool:
        """Whether a failure belongs to the row before it: long silence in between ends a row."""
        longest = timedelta(seconds=2 * max(self.delays, default=0.0))
        last = health.last_failed
        return health.failing_since is not None and last is not None and now - last <= longest


def read_delays(text: str) -> tuple[float, ...]:
    """Seconds, separated by commas. Raises ValueError for anything else."""
    delays = tuple(float(part) for part in text.split(",") if part.strip())
    if not all(0 < delay <= _LONGEST_DELAY for delay in delays):
        raise ValueError("a delay is more than 0 seconds, and 30 days at the most")
    return delays


def _wanted_pause(answer: Answer) -> timedelta:
    """For how long the receiver asked to be left alone."""
    return min(timedelta(seconds=answer.retry_after or 0.0), LONGEST_WAIT)


def new_webhook_id() -> str:
    """An id that nobody can guess."""
    return f"wh_{uuid.uuid4().hex}"


def message_id(tenant: str, kind: str, *facts: object) -> str:
    """The id of a message: the same for the same facts, however often they are heard."""
    return f"msg_{_digest(tenant, kind, *facts)}"


def delivery_id(webhook_id: str, message: str) -> str:
    """The id of the one delivery of a message to a webhook."""
    return f"dl_{_digest(webhook_id, message)}"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
