"""Calls to providers and what they cost: plain data. Money is in millionths of a US$.

reserved --settle--> settled            billed: what the provider says
   |  \\--release--> released           not billed
   +----assume----> assumed --settle--> settled
     (may be billed, or its time is over: the worst case counts until a bill comes)
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.errors import SuiteError, Unavailable
from shared.events import Kind

State = Literal["reserved", "settled", "released", "assumed"]


@dataclass(frozen=True)
class Caps:
    """What a tenant may spend."""

    day: int
    month: int


@dataclass(frozen=True)
class Call:
    """One call to a provider, before it is made."""

    tenant: str
    escalation_id: str
    document_id: str
    kind: Kind
    provider: str
    model: str
    content: str
    """Hash of what is asked: the same content is asked once at a time."""
    worst: int
    price_as_of: str
    until: datetime
    """When the call is over, whatever became of it."""
    time: datetime
    tokens: int = 0
    """In and out, at the worst."""
    batch: str | None = None
    """The batch that it is handed in with, if it is: nobody waits for it."""
    id: str = field(default_factory=lambda: f"ca_{uuid.uuid4().hex}")

    @property
    def day(self) -> str:
        """The day that it counts for, in UTC."""
        return self.time.strftime("%Y-%m-%d")


@dataclass(frozen=True)
class Stop:
    """A provider that nobody is to ask any more, until an operator lets it go on."""

    provider: str
    since: datetime
    reason: str
    call_id: str
    """The call that was billed too high, which is one tenant's: for the operator alone."""


class BudgetSpent(SuiteError):
    """The call might exceed what the tenant may spend."""

    code = "budget_spent"


class ProviderStopped(SuiteError):
    """The provider billed more than was reserved, and is not asked until somebody allows it."""

    code = "provider_stopped"


class TooManyCalls(SuiteError):
    """The question was asked as often as one may be."""

    code = "too_many_calls"


class AskedNow(Unavailable):
    """The same is being asked at this moment."""

    code = "asked_now"
