"""The gateway: the only way to a frontier model. It keeps the budget and verifies answers.

It never waits. The worker retries a question until `patience` is over, if no provider answers. A
question held up by our own rate limit is retried until `oldest`. After that it goes to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial

from services.escalation.calls import Account, ProviderCall, TooLate, ask_or_recall, recall
from services.escalation.domain import Outcome
from services.escalation.ledger import Caps, Ledger, TooManyCalls
from services.escalation.masking.masking import mask
from services.escalation.masking.party_names import PartyNames, known_names
from services.escalation.policy.policy import Policies, TenantPolicy
from services.escalation.prompts.findings import Figures, refusal_of_tables
from services.escalation.prompts.injection_filter import speaks_to_machines
from services.escalation.prompts.prompt import Unverified, VerifiedAnswer, repair
from services.escalation.prompts.questions import (
    Part,
    chunks,
    faults_of,
    repair_several,
    several_prompt,
    side_by_side,
    understand_several,
)
from services.escalation.prompts.subjects import prompt_of, proposal_of, understood
from services.escalation.providers import Prompt, Provider
from services.escalation.providers.provider import NobodyAnswers
from shared.errors import Unavailable
from shared.events import Kind
from shared.events.questions import Question

NO_PROVIDER = "no provider is configured"
DECIDED = "a person decided it meanwhile, so it was not asked"
LARGEST_WINDOW = 20_000  # the largest text of a question, in characters
LONGEST_TOKEN = 8
"""Characters per permitted token. Longer answers are not repaired, because that costs too much."""


Answers = dict[int, VerifiedAnswer | Figures | Unverified]  # by number of the question, from 1


class Obsolete(Exception):
    """The document was deleted, cancelled or reclassified since the request."""


class NotYet(Unavailable):
    """No provider is available now."""

    code = "frontier_busy"


@dataclass(frozen=True)
class Asker:
    """The request of a question."""

    tenant: str
    document_id: str
    escalation_id: str
    since: datetime
    wanted: Callable[[], bool] = lambda: True
    """Whether the answer is still needed; called before each call."""
    decided: Callable[[], bool] = lambda: False
    """Whether a person has decided it since; called before each call."""


@dataclass
class Gateway:
    """The only way to a frontier model."""

    policies: Policies
    ledger: Ledger
    patience: timedelta  # how long a request is retried while no provider answers
    clock: Callable[[], datetime]
    oldest: timedelta = timedelta(minutes=15)  # how long a request may cause new costs

    def closed(self, tenant: str) -> str | None:
        """Return why a tenant can't ask at all; None if it may."""
        return None if self.policies.of(tenant).providers else NO_PROVIDER

    def ask_all(self, asked: Sequence[tuple[Asker, Question]], text: str) -> list[Outcome]:
        """Ask questions about a document, several in one prompt.

        Raises:
            NotYet: no provider answers, and there is time to retry.
            AskedNow: another request asks the same now.
            Obsolete: the answer is not needed any more.
        """
        policy = self.policies.of(asked[0][0].tenant)
        find_names = cache(partial(known_names, text))  # the document is searched once
        outcomes = {
            place: Outcome(None, refusal)
            for place, (_, question) in enumerate(asked)
            if (refusal := _refusal(policy, question, text))
        }
        open_ = [place for place in range(len(asked)) if place not in outcomes]
        for kinds in dict.fromkeys(_kinds(asked[place][1]) for place in open_):
            mine = [place for place in open_ if _kinds(asked[place][1]) == kinds]
            for chunk in chunks([asked[place][1] for place in mine], LARGEST_WINDOW):
                together = [mine[place] for place in chunk]
                parts = []
                for one in (asked[place][1] for place in together):
                    names = find_names(one.names) if "parties" in policy.mask else PartyNames()
                    parts.append(Part(one, mask(text[one.start : one.end], policy.mask, names)))
                askers = [asked[place][0] for place in together]
                came = Asking(self, askers, policy, parts).outcomes()
                outcomes |= zip(together, came, strict=True)
        return [outcomes[place] for place in range(len(asked))]


def _refusal(policy: TenantPolicy, question: Question, text: str) -> str | None:
    """Why a question may not be asked; None if it may."""
    window, is_finding = text[question.start : question.end], question.subject == "finding"
    if not policy.providers:
        return NO_PROVIDER
    if not policy.may_see(*_kinds(question)):
        kinds = " or ".join(_kinds(question))
        return f"documents of the kind {kinds} may not go to external providers"
    if is_finding and "amounts" in policy.mask:
        return "amounts are masked, so findings can't be asked about"
    if not question.start < question.end <= len(text):
        return "the text of the question is not in the document"
    if question.end - question.start > LARGEST_WINDOW:
        return f"the text of the question has more than {LARGEST_WINDOW:,} characters"
    if is_finding and (refusal := refusal_of_tables(question, window)):
        return refusal
    if words := speaks_to_machines(window):
        return f"the passage may contain instructions to a model, so none was asked: {words}"
    return None


def _kinds(question: Question) -> tuple[Kind, ...]:
    """The possible kinds of its document."""
    return tuple(dict.fromkeys((question.kind, *question.may_be)))


@dataclass(frozen=True)
class Asking:
    """Questions of one prompt."""

    gateway: Gateway
    askers: Sequence[Asker]
    """One for each part. The ledger has the first one."""
    policy: TenantPolicy
    parts: Sequence[Part]

    @property
    def asker(self) -> Asker:
        return self.askers[0]

    def outcomes(self) -> list[Outcome]:
        """Ask, in separate prompts where questions must not share one (`side_by_side`)."""
        outcomes: dict[int, Outcome] = {}
        for places in side_by_side(self.parts):
            outcomes |= zip(places, self._only(places)._try(), strict=True)
        return [outcomes[place] for place in range(len(self.parts))]

    def _try(self) -> list[Outcome]:
        """The outcomes of one prompt, also without an answer."""
        try:
            return self._together()
        except NobodyAnswers as error:
            over = self.gateway.clock() > self.asker.since + self.gateway.patience
            if error.wait is None or (over and not error.at_pace):
                return self._all(error.message)
            raise NotYet(error.message, wait=error.wait if error.at_pace else None) from None
        except (TooManyCalls, TooLate) as error:
            return self._all(error.message)

    def _only(self, places: Sequence[int]) -> Asking:
        """The same questions, limited to some parts."""
        return replace(
            self,
            askers=[self.askers[place] for place in places],
            parts=[self.parts[place] for place in places],
        )

    def _together(self) -> list[Outcome]:
        """Ask, and have unusable answers repaired once. Decided questions are left out."""
        decided = [asker.decided() for asker in self.askers]
        prompt = self._prompt()
        if any(decided) and not self._is_remembered(prompt):
            return self._without(decided)
        late = self.gateway.clock() > self.asker.since + self.gateway.oldest
        answer = self._ask(prompt, late)
        if answer.reply.refused:
            return self._all(f"{answer.provider.name} declined to answer")
        found = self._understood(answer, range(1, len(self.parts) + 1))
        calls = dict.fromkeys(found, answer)
        if not (faults := faults_of(found)):
            return self._outcomes(found, calls)
        if len(answer.reply.text) > answer.provider.most * LONGEST_TOKEN:
            too_long = "gave no usable answer, and it is too long to be repaired"
            return self._outcomes(found, calls, too_long)
        if len(self.parts) > 1:
            again = repair_several(self.parts, answer.reply, faults)
        else:
            again = repair(prompt, answer.reply.text, faults[1])
        if not self._is_remembered(again) and (why := self._unrepaired(faults, late)):
            return self._outcomes(found, calls, f"gave no usable answer, and {why}")
        answer = self._ask(again)
        if answer.reply.refused:
            return self._outcomes(found, calls, "declined to answer")
        found |= self._understood(answer, list(faults))
        calls |= dict.fromkeys(faults, answer)
        return self._outcomes(found, calls, "gave no usable answer, even after a retry")

    def _prompt(self) -> Prompt:
        if len(self.parts) == 1:
            return prompt_of(self.parts[0])
        return several_prompt(self.parts)

    def _unrepaired(self, faults: Collection[int], late: bool) -> str:
        """Why an unusable answer is not repaired; empty if it is."""
        if late:
            return "it is too late for a retry"
        if all(self.askers[number - 1].decided() for number in faults):
            return "a person has decided since"
        if len(side_by_side([self.parts[number - 1] for number in faults])) > 1:
            return "its passages may not share a prompt"
        return ""

    def _is_remembered(self, prompt: Prompt) -> bool:
        """Whether an answer is remembered, which costs nothing."""
        return recall(self.gateway.ledger, self._account, self._providers, prompt) is not None

    def _without(self, decided: Sequence[bool]) -> list[Outcome]:
        """Ask only the undecided questions."""
        undecided = [place for place, done in enumerate(decided) if not done]
        outcomes = [Outcome(None, DECIDED) for _ in decided]
        if undecided:
            for place, outcome in zip(undecided, self._only(undecided).outcomes(), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _understood(self, answer: ProviderCall, wanted: Sequence[int]) -> Answers:
        if len(self.parts) > 1:
            return {**understand_several(answer.reply, self.parts, wanted)}
        (part,) = self.parts
        try:
            return {1: understood(answer.reply, part)}
        except Unverified as error:
            return {1: error}

    def _all(self, reason: str) -> list[Outcome]:
        return [Outcome(None, reason) for _ in self.parts]

    def _outcomes(
        self, found: Answers, calls: Mapping[int, ProviderCall], failure: str = ""
    ) -> list[Outcome]:
        """The outcome of each question; `failure` describes unusable answers."""
        outcomes = []
        for number, part in enumerate(self.parts, 1):
            answer, one = calls[number], found[number]
            name = answer.provider.name
            if isinstance(one, Unverified):
                why = "" if failure == "declined to answer" else f": {one}"
                outcomes.append(Outcome(None, f"{name} {failure}{why}"))
            elif one.verdict == "unsure":
                outcomes.append(Outcome(None, f"{name} is unsure too", answer.call_id))
            else:
                outcomes.append(Outcome(proposal_of(part, one, answer), "", answer.call_id))
        return outcomes

    @property
    def _account(self) -> Account:
        asker, policy = self.asker, self.policy
        return Account(
            asker.tenant,
            asker.document_id,
            asker.escalation_id,
            self.parts[0].question.kind,
            Caps(policy.day_micro_usd, policy.month_micro_usd),
        )

    @property
    def _providers(self) -> list[Provider]:
        """The providers that may see all questions."""
        return self.policy.may_see(*_kinds(self.parts[0].question))

    def _ask(self, prompt: Prompt, late: bool = False) -> ProviderCall:
        """Return a remembered answer, or a new one unless it is too late."""
        if not self.asker.wanted():
            raise Obsolete
        ledger, clock = self.gateway.ledger, self.gateway.clock
        return ask_or_recall(ledger, self._account, self._providers, prompt, clock, late)
