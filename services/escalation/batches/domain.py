"""Batches of calls: plain data.

preparing --> handing in --> handed in --> ended    each call is settled by its line
    |             |              \\--------> lost     what has no bill in its time counts in full
    \\-------------\\-----------------------> refused  there is no such batch: nothing is billed
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

State = Literal["preparing", "handing in", "handed in", "ended", "lost", "refused"]
OPEN: tuple[State, ...] = ("preparing", "handing in", "handed in")
OVER: tuple[State, ...] = ("ended", "lost", "refused")


@dataclass(frozen=True)
class Batch:
    """Calls that go to a provider together. Their rows in the ledger name it."""

    tenant: str
    provider: str
    model: str
    made: datetime
    until: datetime
    """When it is over, whatever became of it."""
    state: State = "preparing"
    remote: str | None = None
    """What the provider calls it."""
    requests: int = 0
    reason: str = ""
    """Why it was refused or lost."""
    looked: datetime | None = None
    """When somebody looked last; None of one that is over: nothing of it is left to be deleted."""
    id: str = field(default_factory=lambda: f"ba_{uuid.uuid4().hex}")

    @property
    def is_open(self) -> bool:
        """Whether something may come of it yet."""
        return self.state in OPEN

    @property
    def never_left(self) -> bool:
        """Whether it is over, and its provider had nothing of it."""
        return self.state == "refused" and self.remote is None
