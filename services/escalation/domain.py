"""Requests to the frontier and what was spent: plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from shared.events import REASON_CHARACTERS, BlobRef, EscalationRequested, Stage
from shared.events.questions import Proposal

State = Literal["waiting", "answered", "unanswered"]
BEING_ASKED = "it is being asked"
_UNKEPT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Escalation:
    """A result that a specialist was unsure of, and what came of asking somebody outside."""

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
    answer: BlobRef | None = None
    """The blob with the proposal, to be removed with the document."""

    @classmethod
    def of(cls, event: EscalationRequested) -> Escalation:
        """What a request becomes for its first result; its event's id is its own, so that it is
        kept once.
        """
        return cls(
            id=f"es_{event.id}",
            tenant=event.tenant,
            document_id=event.document_id,
            stage=event.stage,
            result_id=event.result_id,
            requested=event.time,
            attempt=event.attempt,
        )

    @classmethod
    def each(cls, event: EscalationRequested) -> list[Escalation]:
        """What a request becomes, one for each result that it asks about."""
        first = cls.of(event)
        return [first] + [
            replace(first, id=f"{first.id}_{number}", result_id=more.result_id)
            for number, more in enumerate(event.further, 2)
        ]

    def answered(self, proposal: Proposal, call_id: str | None) -> Escalation:
        """A model proposed something, which a person looks at."""
        return replace(
            self,
            state="answered",
            reason="",
            category=proposal.category,
            proposal=proposal,
            call_id=call_id,
        )

    def with_outcome(self, outcome: Outcome) -> Escalation:
        """What came of it: a proposal, with the id by which no two are the same, or a reason."""
        if outcome.proposal is None:
            return self.unanswered(outcome.reason)
        proposal = outcome.proposal.model_copy(update={"escalation": self.id})
        return self.answered(proposal, outcome.call_id)

    def unanswered(self, reason: str) -> Escalation:
        """Nobody outside knows; a person is asked. Of the reason is kept what can be kept."""
        return replace(self, state="unanswered", reason=_kept(reason), proposal=None)


@dataclass(frozen=True)
class Outcome:
    """What came of a question: a proposal, or the reason why a person is asked."""

    proposal: Proposal | None
    reason: str = ""
    call_id: str | None = None
    """The call that brought the proposal; it may be an earlier one."""


@dataclass(frozen=True)
class Spend:
    """What calls were paid, by one tenant, from the ledger. Money is in US$."""

    key: str
    """Provider, model, day, kind or document."""
    calls: int
    usd: Decimal
    """With what is uncertain and what is reserved."""
    uncertain_usd: Decimal
    """Of it the worst case of calls that may have been billed."""
    reserved_usd: Decimal
    """Of it the worst case of calls in hand."""
    tokens_in: int
    tokens_out: int

    @property
    def provider(self) -> str:
        """The key of sums by provider."""
        return self.key


def _kept(reason: str) -> str:
    """A reason that every database and event takes, whatever was put into it."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[: REASON_CHARACTERS - 1] + "…"
    return _UNKEPT.sub("\N{REPLACEMENT CHARACTER}", reason)


def to_json(proposal: Proposal) -> dict[str, Any]:
    """A proposal as it is kept."""
    return proposal.model_dump(mode="json")
