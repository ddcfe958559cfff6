"""Calls to providers as plain data. Amounts are millionths of a US$.

reserved --settle--> settled            billed: what the provider says
   |  \\--release--> released           not billed
   +----assume----> assumed --settle--> settled
     (maybe billed, or timed out: the worst case counts until a bill comes)
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
    """The budget of a tenant."""

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
    """Hash of the question. The same question is asked once at a time."""
    worst: int
    price_as_of: str
    until: datetime  # the time-out of the reservation
    time: datetime
    tokens: int = 0  # worst case, in and out
    id: str = field(default_factory=lambda: f"ca_{uuid.uuid4().hex}")

    @property
    def day(self) -> str:
        """The day of the call in UTC."""
        return self.time.strftime("%Y-%m-%d")


@dataclass(frozen=True)
class Stop:
    """A stopped provider. An operator resumes it."""

    provider: str
    since: datetime
    reason: str
    call_id: str  # the call with the excessive bill, for operators only


class BudgetSpent(SuiteError):
    """The call might exceed the budget."""

    code = "budget_spent"


class ProviderStopped(SuiteError):
    """The provider is stopped after a bill above its reservation."""

    code = "provider_stopped"


class TooManyCalls(SuiteError):
    """The question was asked too often."""

    code = "too_many_calls"


class AskedNow(Unavailable):
    """The same question is being asked now."""

    code = "asked_now"
