"""Escalations and spending as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from shared.events import REASON_CHARACTERS, BlobRef, EscalationRequested, Stage
from shared.events.questions import Proposal

State = Literal["waiting", "answered", "unanswered"]
BEING_ASKED = "in progress"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Escalation:
    """An uncertain result with the answer of a frontier model."""

    id: str
    tenant: str
    document_id: str
    stage: Stage
    result_id: str
    requested: datetime
    attempt: int = 1
    category: str = ""
    state: State = "waiting"
    reason: str = BEING_ASKED
    call_id: str | None = None
    proposal: Proposal | None = None
    answer: BlobRef | None = None  # the blob of the proposal

    @classmethod
    def each(cls, event: EscalationRequested) -> list[Escalation]:
        """Create one escalation for each result of a request. The ids come from the event."""
        first = cls(
            id=f"es_{event.id}",
            tenant=event.tenant,
            document_id=event.document_id,
            stage=event.stage,
            result_id=event.result_id,
            requested=event.time,
            attempt=event.attempt,
        )
        return [first] + [
            replace(first, id=f"{first.id}_{number}", result_id=more.result_id)
            for number, more in enumerate(event.further, 2)
        ]

    def with_outcome(self, outcome: Outcome) -> Escalation:
        """The escalation with its outcome."""
        if outcome.proposal is None:
            return replace(self, state="unanswered", reason=_storable(outcome.reason))
        proposal = outcome.proposal.model_copy(update={"escalation": self.id})
        return replace(
            self,
            state="answered",
            reason="",
            category=proposal.category,
            proposal=proposal,
            call_id=outcome.call_id,
        )


@dataclass(frozen=True)
class Outcome:
    """The outcome of a question: a proposal, or the reason why there is none."""

    proposal: Proposal | None
    reason: str = ""
    call_id: str | None = None  # the call with the answer, maybe an earlier one


@dataclass(frozen=True)
class Spend:
    """The spending of a tenant with one key, in US$."""

    key: str  # provider, model, day, kind or document
    calls: int
    usd: Decimal  # including uncertain and reserved amounts
    uncertain_usd: Decimal  # worst case of calls that may have been billed
    reserved_usd: Decimal  # worst case of running calls
    tokens_in: int
    tokens_out: int

    @property
    def provider(self) -> str:
        """The key, for sums by provider."""
        return self.key


def _storable(reason: str) -> str:
    """A reason that fits every database and event."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[: REASON_CHARACTERS - 1] + "…"
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", reason)
