"""The door: what may be asked is asked within the budget, and what comes back is verified.

Nothing of it waits: what can't be asked now is tried again by the worker until the patience with a
request is over, and goes to a person then. Patience is for providers that do not answer; whom our
own pace holds up is asked later, until nothing new is paid for the question (`oldest`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.escalation.batching import (
    Part,
    chunks,
    faults_of,
    repair_several,
    several_prompt,
    side_by_side,
    understand_several,
)
from services.escalation.domain import Outcome
from services.escalation.figures import Figures, refusal_of_tables
from services.escalation.hearing import Account, Heard, TooLate, hear, recall
from services.escalation.injections import speaks_to_machines
from services.escalation.ledger import Caps, Ledger, TooManyCalls
from services.escalation.masking import mask
from services.escalation.party_names import Known, known_names
from services.escalation.policy import Policies, TenantPolicy
from services.escalation.prompting import Understood, Unverified, repair
from services.escalation.providers import Prompt, Provider
from services.escalation.providers.provider import NobodyAnswers
from services.escalation.subjects import prompt_of, proposal_of, understood
from shared.errors import Unavailable
from shared.events import Kind
from shared.events.questions import Question

NO_PROVIDER = "no provider is configured: nothing leaves the house"
DECIDED = "a person decided about it in the meantime, so nothing was paid for it"
LARGEST_WINDOW = 20_000
"""Characters of a window: what is larger is a document and no question."""
LONGEST_TOKEN = 8
"""Characters for each token that an answer may have, on the average: a longer one is not sent back
to be repaired, for it would cost many times the question.
"""


Answers = dict[int, Understood | Figures | Unverified]
"""By the number of the question, counted from 1."""


class _Names:
    """What the parties of one document go by: looked for once, however many prompts there are."""

    def __init__(self, text: str, policy: TenantPolicy) -> None:
        self._text = text
        self._hidden = "parties" in policy.mask
        self._known: dict[tuple[str, ...], Known] = {}

    def of(self, question: Question) -> Known:
        """With those that the question tells; none where parties are not hidden."""
        if self._hidden and question.names not in self._known:
            self._known[question.names] = known_names(self._text, question.names)
        return self._known.get(question.names, Known())


@dataclass(frozen=True)
class Waiting:
    """A question that is too late to be asked alone, and who may be asked it in a batch."""

    account: Account
    prompt: Prompt
    provider: Provider


class NotWanted(Exception):
    """Nobody wants to know any more: the document is deleted, or read as another one since."""


class NotYet(Unavailable):
    """No provider answers just now, or may be asked."""

    code = "frontier_busy"


@dataclass(frozen=True)
class Asker:
    """On whose behalf something is asked."""

    tenant: str
    document_id: str
    escalation_id: str
    since: datetime
    wanted: Callable[[], bool] = lambda: True
    """Whether somebody still wants to know: asked before each call."""
    decided: Callable[[], bool] = lambda: False
    """Whether a person has decided about it since: asked before each call."""


class Door:
    """The only way to a frontier model.

    Args:
        patience: how long after a request it is tried again, where providers do not answer.
        clock: the time.
        oldest: how long after a request nothing new is paid for it: people have it by then.
    """

    def __init__(
        self,
        policies: Policies,
        ledger: Ledger,
        patience: timedelta,
        clock: Callable[[], datetime],
        oldest: timedelta = timedelta(minutes=15),
    ) -> None:
        self.policies = policies
        self.ledger = ledger
        self.patience = patience
        self.clock = clock
        self.oldest = oldest

    def closed(self, tenant: str) -> str | None:
        """Why a tenant can ask nothing at all; None if it may ask."""
        return None if self.policies.of(tenant).providers else NO_PROVIDER

    def ask(self, asker: Asker, question: Question, text: str) -> Outcome:
        """Ask about one window of a document's text: see `ask_all`."""
        (outcome,) = self.ask_all([(asker, question)], text)
        return outcome

    def ask_all(
        self,
        asked: Sequence[tuple[Asker, Question]],
        text: str,
        waiting: list[Waiting] | None = None,
    ) -> list[Outcome]:
        """Ask about windows of a document's text, several in one prompt.

        Args:
            waiting: gets what would be asked, and is too late for that, where policy has a batch
                for it.

        Raises:
            NotYet: no provider answers, and there is time to try it again.
            AskedNow: another request asks the same just now.
            NotWanted: nobody wants to know any more.
        """
        policy = self.policies.of(asked[0][0].tenant)
        outcomes: list[Outcome | None] = [_refused(policy, question, text) for _, question in asked]
        names = _Names(text, policy)
        open_ = [place for place, outcome in enumerate(outcomes) if outcome is None]
        for kinds in dict.fromkeys(_kinds(asked[place][1]) for place in open_):
            mine = [place for place in open_ if _kinds(asked[place][1]) == kinds]
            for chunk in chunks([asked[place][1] for place in mine], LARGEST_WINDOW):
                together = [mine[place] for place in chunk]
                pairs = [asked[place] for place in together]
                came = self._together(pairs, policy, text, names, waiting)
                for place, outcome in zip(together, came, strict=True):
                    outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _together(
        self,
        asked: Sequence[tuple[Asker, Question]],
        policy: TenantPolicy,
        text: str,
        names: _Names,
        waiting: list[Waiting] | None,
    ) -> list[Outcome]:
        """Ask what goes into one prompt."""
        parts = [
            Part(one, mask(text[one.start : one.end], policy.mask, names.of(one)))
            for _, one in asked
        ]
        return Asking(self, [asker for asker, _ in asked], policy, parts, waiting).outcomes()


def _refused(policy: TenantPolicy, question: Question, text: str) -> Outcome | None:
    """What comes of a question that nobody is asked; None if somebody may be."""
    window = text[question.start : question.end]
    if refusal := _refusal(policy, policy.may_see(*_kinds(question)), question, text):
        return Outcome(None, refusal)
    if question.subject == "finding" and (refusal := refusal_of_tables(question, window)):
        return Outcome(None, refusal)
    if words := speaks_to_machines(window):
        return Outcome(None, f"the passage speaks to machines, so none was asked: {words}")
    return None


def _refusal(
    policy: TenantPolicy, providers: Sequence[Provider], question: Question, text: str
) -> str | None:
    """Why nobody is asked, before anything of the window is looked at."""
    if not policy.providers:
        return NO_PROVIDER
    if not providers:
        kinds = " or ".join(_kinds(question))
        return f"words of documents of the kind {kinds} may not leave the house"
    if question.subject == "finding" and "amounts" in policy.mask:
        return "amounts may not leave the house, and nothing can be said of a finding without them"
    if not question.start < question.end <= len(text):
        return "the question names a window that the document does not have"
    if question.end - question.start > LARGEST_WINDOW:
        return f"the window has more than {LARGEST_WINDOW:,} characters"
    return None


def _kinds(question: Question) -> tuple[Kind, ...]:
    """Of which kinds its document may be."""
    return tuple(dict.fromkeys((question.kind, *question.may_be)))


@dataclass(frozen=True)
class Asking:
    """Questions on their way, in one prompt."""

    door: Door
    askers: Sequence[Asker]
    """Whose the parts are, one for each. The first one stands for all in the ledger."""
    policy: TenantPolicy
    parts: Sequence[Part]
    waiting: list[Waiting] | None = None
    """See `Door.ask_all`."""

    @property
    def asker(self) -> Asker:
        return self.askers[0]

    def outcomes(self) -> list[Outcome]:
        """Ask, in as many prompts as have to be kept apart (`side_by_side`)."""
        outcomes: dict[int, Outcome] = {}
        for places in side_by_side(self.parts):
            outcomes |= zip(places, self._only(places)._tried(), strict=True)
        return [outcomes[place] for place in range(len(self.parts))]

    def _tried(self) -> list[Outcome]:
        """What came of one prompt, also where nobody answers for good."""
        try:
            return self._together()
        except NobodyAnswers as error:
            over = self.door.clock() > self.asker.since + self.door.patience and not error.at_pace
            if error.wait is None or over:
                return self._all(error.message)
            raise NotYet(error.message, wait=error.wait if error.at_pace else None) from None
        except (TooManyCalls, TooLate) as error:
            return self._all(error.message)

    def _only(self, places: Sequence[int]) -> Asking:
        """Some of the parts."""
        return replace(
            self,
            askers=[self.askers[place] for place in places],
            parts=[self.parts[place] for place in places],
        )

    def _together(self) -> list[Outcome]:
        """Ask, have unusable answers repaired once, and give those up that still are. What a person
        has decided meanwhile is left out of what is paid.
        """
        decided = [asker.decided() for asker in self.askers]
        prompt = self._prompt()
        if any(decided) and not self._is_known(prompt):
            return self._without(decided)
        late = self.door.clock() > self.asker.since + self.door.oldest
        heard = self._hear(prompt, late)
        if heard.reply.refused:
            return self._all(f"{heard.provider.name} declined to answer")
        found = self._understood(heard, range(1, len(self.parts) + 1))
        by = dict.fromkeys(found, heard)
        if not (faults := faults_of(found)):
            return self._said(found, by)
        if len(heard.reply.text) > heard.provider.most * LONGEST_TOKEN:
            too_long = "gave no usable answer, and one that is too long to be repaired"
            return self._said(found, by, too_long)
        if len(self.parts) > 1:
            again = repair_several(self.parts, heard.reply, faults)
        else:
            again = repair(prompt, heard.reply.text, faults[1])
        if not self._is_known(again) and (why := self._unrepaired(faults, late)):
            return self._said(found, by, f"gave no usable answer, and {why}")
        heard = self._hear(again)
        if heard.reply.refused:
            return self._said(found, by, "declined to answer")
        found |= self._understood(heard, list(faults))
        by |= dict.fromkeys(faults, heard)
        return self._said(found, by, "gave no usable answer, also when asked again")

    def _prompt(self) -> Prompt:
        if len(self.parts) == 1:
            return prompt_of(self.parts[0])
        return several_prompt(self.parts)

    def _unrepaired(self, faults: Collection[int], late: bool) -> str:
        """Why an unusable answer is not sent back to be repaired; empty if it is."""
        if late:
            return "it is too late to ask again"
        if all(self.askers[number - 1].decided() for number in faults):
            return "a person has decided since"
        if len(side_by_side([self.parts[number - 1] for number in faults])) > 1:
            return "those passages may not be sent together"
        return ""

    def _is_known(self, prompt: Prompt) -> bool:
        """Whether there is an answer already, which costs nothing."""
        return recall(self.door.ledger, self._account, self._providers, prompt) is not None

    def _without(self, decided: Sequence[bool]) -> list[Outcome]:
        """Ask what is left; of what a person has decided, say so."""
        left = [place for place, done in enumerate(decided) if not done]
        outcomes = [Outcome(None, DECIDED) for _ in decided]
        if left:
            for place, outcome in zip(left, self._only(left).outcomes(), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _understood(self, heard: Heard, wanted: Sequence[int]) -> Answers:
        if len(self.parts) > 1:
            return {**understand_several(heard.reply, self.parts, wanted)}
        (part,) = self.parts
        try:
            return {1: understood(heard.reply, part)}
        except Unverified as error:
            return {1: error}

    def _all(self, reason: str) -> list[Outcome]:
        return [Outcome(None, reason) for _ in self.parts]

    def _said(self, found: Answers, by: Mapping[int, Heard], else_: str = "") -> list[Outcome]:
        """What came of each question, and for those without a usable answer what is said of it."""
        outcomes = []
        for number, part in enumerate(self.parts, 1):
            heard, one = by[number], found[number]
            name = heard.provider.name
            if isinstance(one, Unverified):
                why = "" if else_ == "declined to answer" else f": {one}"
                outcomes.append(Outcome(None, f"{name} {else_}{why}"))
            elif one.verdict == "unsure":
                outcomes.append(Outcome(None, f"{name} is unsure as well", heard.call_id))
            else:
                outcomes.append(Outcome(proposal_of(part, one, heard), "", heard.call_id))
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
        """Who may see words of all that is asked about."""
        return self.policy.may_see(*_kinds(self.parts[0].question))

    def _hear(self, prompt: Prompt, late: bool = False) -> Heard:
        """An answer that is remembered, or a new one unless it is too late for that."""
        if not self.asker.wanted():
            raise NotWanted
        door = self.door
        try:
            return hear(door.ledger, self._account, self._providers, prompt, door.clock, late)
        except TooLate:
            provider = self.policy.batch_provider(*_kinds(self.parts[0].question))
            if self.waiting is not None and provider:
                self.waiting.append(Waiting(self._account, prompt, provider))
            raise
