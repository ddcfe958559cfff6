"""The door: what may be asked is asked within the budget, and what comes back is verified.

Nothing of it waits: what can't be asked now is tried again by the worker until the patience with a
request is over, and goes to a person then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.escalation.hearing import Account, Heard, hear
from services.escalation.injections import speaks_to_machines
from services.escalation.ledger import Caps, Ledger, TooManyCalls
from services.escalation.masking import Masked, mask
from services.escalation.policy import Policies, TenantPolicy
from services.escalation.prompting import Understood, Unverified, first_prompt, repair, understand
from services.escalation.providers import Prompt, Provider
from services.escalation.providers.provider import NobodyAnswers
from shared.errors import Unavailable
from shared.events.questions import Proposal, Question, Quote

NO_PROVIDER = "no provider is configured: nothing leaves the house"
LARGEST_WINDOW = 20_000
"""Characters of a window: what is larger is a document and no question."""
LONGEST_TOKEN = 8
"""Characters for each token that an answer may have, on the average: a longer one is not sent back
to be repaired, for it would cost many times the question.
"""


class NotYet(Unavailable):
    """No provider answers just now."""

    code = "frontier_busy"


@dataclass(frozen=True)
class Asker:
    """On whose behalf something is asked."""

    tenant: str
    document_id: str
    escalation_id: str
    since: datetime


@dataclass(frozen=True)
class Outcome:
    """What came of a question: a proposal, or the reason why a person is asked."""

    proposal: Proposal | None
    reason: str = ""
    call_id: str | None = None
    """The call that brought the proposal; it may be an earlier one."""


class Door:
    """The only way to a frontier model.

    Args:
        patience: how long after a request it is tried again, where providers do not answer.
        clock: the time.
    """

    def __init__(
        self,
        policies: Policies,
        ledger: Ledger,
        patience: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self.policies = policies
        self.ledger = ledger
        self.patience = patience
        self.clock = clock

    def closed(self, tenant: str) -> str | None:
        """Why a tenant can ask nothing at all; None if it may ask."""
        return None if self.policies.of(tenant).providers else NO_PROVIDER

    def ask(self, asker: Asker, question: Question, text: str) -> Outcome:
        """Ask about a window of a document's text.

        Raises:
            NotYet: no provider answers, and there is time to try it again.
            AskedNow: another request asks the same just now.
        """
        policy = self.policies.of(asker.tenant)
        providers = policy.may_see(question.kind)
        if refusal := _refusal(policy, providers, question, text):
            return Outcome(None, refusal)
        window = text[question.start : question.end]
        if words := speaks_to_machines(window):
            return Outcome(None, f"the passage speaks to machines, so none was asked: {words}")
        passage = mask(window, policy.mask, question.names)
        asking = _Asking(self, asker, question, policy, providers, passage)
        try:
            return asking.outcome()
        except NobodyAnswers as error:
            if error.wait is None or self.clock() > asker.since + self.patience:
                return Outcome(None, error.message)
            raise NotYet(error.message) from None
        except TooManyCalls as error:
            return Outcome(None, error.message)


def _refusal(
    policy: TenantPolicy, providers: Sequence[Provider], question: Question, text: str
) -> str | None:
    """Why nobody is asked, before anything of the window is looked at."""
    if not policy.providers:
        return NO_PROVIDER
    if not providers:
        return f"words of documents of the kind {question.kind} may not leave the house"
    if not question.start < question.end <= len(text):
        return "the question names a window that the document does not have"
    if question.end - question.start > LARGEST_WINDOW:
        return f"the window has more than {LARGEST_WINDOW:,} characters"
    return None


@dataclass(frozen=True)
class _Asking:
    """One question on its way."""

    door: Door
    asker: Asker
    question: Question
    policy: TenantPolicy
    providers: Sequence[Provider]
    passage: Masked

    def outcome(self) -> Outcome:
        """Ask, have one unusable answer repaired, and give up after that."""
        prompt = first_prompt(self.question, self.passage)
        heard = self._hear(prompt)
        if heard.reply.refused:
            return Outcome(None, f"{heard.provider.name} declined to answer")
        try:
            return self._propose(heard)
        except Unverified as error:
            if len(heard.reply.text) > heard.provider.most * LONGEST_TOKEN:
                return Outcome(
                    None,
                    f"{heard.provider.name} gave no usable answer, and one that is too long to be "
                    f"repaired: {error}",
                )
            heard = self._hear(repair(prompt, heard.reply.text, str(error)))
        if heard.reply.refused:
            return Outcome(None, f"{heard.provider.name} declined to answer")
        try:
            return self._propose(heard)
        except Unverified as error:
            return Outcome(
                None, f"{heard.provider.name} gave no usable answer, also when asked again: {error}"
            )

    def _propose(self, heard: Heard) -> Outcome:
        offset = self.question.start
        near = [
            self.passage.target(c.start - offset, c.end - offset) for c in self.question.candidates
        ]
        found = understand(heard.reply, self.passage, near)
        if found.verdict == "unsure":
            return Outcome(None, f"{heard.provider.name} is unsure as well", heard.call_id)
        return Outcome(self._proposal(found, heard), "", heard.call_id)

    def _proposal(self, found: Understood, heard: Heard) -> Proposal:
        window_start = self.question.start
        quotes = []
        for start, end in found.spans:
            low, high = self.passage.source(start, end)
            words = self.passage.original[low:high]
            quotes.append(Quote(text=words, start=window_start + low, end=window_start + high))
        return Proposal(
            verdict="present" if found.verdict == "present" else "absent",
            category=self.question.category,
            quotes=tuple(quotes),
            why=self.passage.unmasked(found.why),
            provider=heard.provider.name,
            model=heard.provider.model,
            stand_in=heard.provider.stand_in,
        )

    def _hear(self, prompt: Prompt) -> Heard:
        """An answer that is remembered, or a new one."""
        asker, policy = self.asker, self.policy
        account = Account(
            asker.tenant,
            asker.document_id,
            asker.escalation_id,
            self.question.kind,
            Caps(policy.day_micro_usd, policy.month_micro_usd),
        )
        return hear(self.door.ledger, account, self.providers, prompt, self.door.clock)
