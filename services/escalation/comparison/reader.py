"""A frontier model reads whole documents, window by window, within one budget.

All calls count for one fixed day, so that the budget covers the whole comparison. Answers are
remembered, so that none is paid twice. The call of a crashed process counts with its worst case and
is repeated.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from services.escalation.calls import Account, ProviderCall, call, recall
from services.escalation.comparison.prompts import SYSTEM, Verified, question, verify
from services.escalation.comparison.store import Cost, cost_of
from services.escalation.gateway import LONGEST_TOKEN
from services.escalation.ledger import (
    AskedNow,
    BudgetSpent,
    Caps,
    Ledger,
    ProviderStopped,
    TooManyCalls,
)
from services.escalation.ledger.ledger import utc_now
from services.escalation.ledger.store import mark_verified
from services.escalation.masking.masking import Masked, mask
from services.escalation.masking.party_names import PartyNames, known_names
from services.escalation.policy.policy import Hidden
from services.escalation.prompts.injection_filter import speaks_to_machines
from services.escalation.prompts.prompt import Unverified, repair
from services.escalation.providers import Prompt, Provider, ProviderError, Refused, TooBusy
from services.escalation.store import MIGRATIONS
from shared.storage import Store

BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
"""The day of all calls of a comparison. Nothing else uses its ledger."""
CHARACTERS_PER_TOKEN = 4  # an estimate for English
REFUSALS = 3  # the comparison ends after so many refusals in a row
LEAST_WAIT = 1.0
CENT = 10_000  # millionths of a US$


@dataclass(frozen=True)
class ReadingRequest:
    """Settings of a comparison.

    Args:
        categories: with their definitions.
        window: characters of a part of a document at most.
        at_once: categories of one question.
        hidden: what is masked.
        patience: seconds of retries while the provider does not answer.
    """

    categories: Mapping[str, str]
    window: int = 20_000
    at_once: int = 50
    hidden: frozenset[Hidden] = frozenset()
    patience: float = 600.0

    def groups(self) -> Iterator[Mapping[str, str]]:
        """The categories of each question."""
        items = list(self.categories.items())
        for first in range(0, len(items), self.at_once):
            yield dict(items[first : first + self.at_once])


@dataclass(frozen=True)
class Found:
    """A clause that the model quoted; `text` is the document's own."""

    category: str
    text: str
    start: int
    end: int


@dataclass
class ProviderReading:
    """The answers of a model about one document."""

    found: list[Found] = field(default_factory=list)
    seconds: float = 0.0  # total time of its answers
    rejected: int = 0  # clauses with quotes that the document does not have
    unusable: int = 0  # questions without a usable answer


class Unread(Exception):
    """The model can't read this document."""


class Left(Unread):
    """The document was skipped, because the comparison ended."""


class Ended(Exception):
    """The comparison has to end."""


class FrontierReader:
    """Reads documents with one model. Safe from several threads.

    Args:
        budget: millionths of a US$ for all calls in the ledger.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        budget: int,
        asked: ReadingRequest,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.ledger = ledger
        self.budget = budget
        self.asked = asked
        self.ended: str | None = None
        """Why the comparison ended."""
        self._clock = clock
        self._sleep = sleep
        self._guard = threading.Condition()
        self._in_hand = 0
        self._settled = 0
        self._refusals = 0

    def read_all(
        self, texts: Sequence[str], workers: int = 1
    ) -> Iterator[ProviderReading | Unread]:
        """Read documents in parallel and yield the results in order.

        After the end of the comparison all further results are `Left`.
        """
        with ThreadPoolExecutor(workers) as pool:
            try:
                reading = {text: pool.submit(self._read, text) for text in dict.fromkeys(texts)}
                for text in texts:
                    yield reading[text].result()
            except BaseException:
                self.ended = self.ended or "it was stopped"
                pool.shutdown(cancel_futures=True)
                raise

    def read(self, text: str) -> ProviderReading:
        """Read one document. Raises Unread, or Ended."""
        if words := speaks_to_machines(text):
            raise Unread(f"it may contain instructions to a model, so it is not sent: {words}")
        answered = ProviderReading()
        for part in self._parts(text):
            self._ask(part, answered)
        answered.found = list(dict.fromkeys(answered.found))
        return answered

    def _parts(self, text: str) -> Iterator[Part]:
        """All questions about a document."""
        known = known_names(text) if "parties" in self.asked.hidden else PartyNames()
        for number, (start, end) in enumerate(windows(text, self.asked.window)):
            passage = mask(text[start:end], self.asked.hidden, known)
            for group in self.asked.groups():
                yield Part(self.key(text), number, start, passage, group)

    def key(self, text: str) -> str:
        """Return the key of a document in the ledger, from its text and the settings."""
        provider, asked = self.provider, self.asked
        how = (provider.model, provider.most, SYSTEM, asked.window, asked.at_once)
        whole = [text, *map(str, how), sorted(asked.hidden), dict(asked.categories)]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:48]

    def cost(self, texts: Sequence[str]) -> Cost:
        """Return the cost of documents. Equal texts count once."""
        with self.ledger.database.read() as session:
            return cost_of(session, self.provider.name, {self.key(text) for text in texts})

    def spent(self) -> Cost:
        """Return the total cost in the ledger."""
        with self.ledger.database.read() as session:
            return cost_of(session, self.provider.name)

    def expected(self, texts: Sequence[str], written: int) -> Cost:
        """Estimate the cost of reading documents; `written` are the characters to quote."""
        calls = characters = 0
        for prompt in (part.prompt for text in texts for part in self._parts(text)):
            characters += len(prompt.system) + sum(map(len, prompt.turns))
            calls += 1
        tokens = (characters // CHARACTERS_PER_TOKEN, written // CHARACTERS_PER_TOKEN + 20 * calls)
        price = self.provider.price
        exact = tokens[0] * price.input + tokens[1] * price.output
        return Cost(calls, int(exact), *tokens)

    def room(self, texts: Sequence[str]) -> Room:
        """Return the budget that the most expensive new call needs."""
        asked = (
            part.prompt
            for text in texts
            for part in self._parts(text)
            if not recall(self.ledger, self.account(part), [self.provider], part.prompt)
        )
        return self._room(asked)

    def _room(self, prompts: Iterable[Prompt]) -> Room:
        """The budget that the most expensive of some calls needs."""
        price, provider = self.provider.price, self.provider
        worst = max((price.of(provider.worst_case(prompt)) for prompt in prompts), default=0)
        return Room(self.budget, worst, self.spent().micro_usd)

    def _read(self, text: str) -> ProviderReading | Unread:
        if self.ended:
            return Left(self.ended)
        try:
            return self.read(text)
        except Unread as error:
            return error
        except Ended as error:
            self.ended = self.ended or str(error)
            return Left(self.ended)

    def _ask(self, part: Part, answered: ProviderReading) -> None:
        """Ask a question, with one repair. A cut answer splits it into halves."""
        answer = self._answer_to(part, part.prompt)
        answered.seconds += answer.reply.seconds
        if answer.reply.refused:
            answered.unusable += 1
            return
        if answer.reply.cut and len(part.categories) > 1:
            for half in part.halves():
                self._ask(half, answered)
            return
        try:
            verified: Verified | None = verify(answer.reply, part.passage, part.categories)
            with self.ledger.database.write() as session:  # for documents with the same window
                mark_verified(session, self.provider.name, answer.call_id)
        except Unverified as error:
            verified = self._repaired(answer, part, str(error), answered)
        if verified is None:
            answered.unusable += 1
            return
        answered.rejected += verified.rejected
        answered.found += part.found(verified)

    def _repaired(
        self, answer: ProviderCall, part: Part, why: str, answered: ProviderReading
    ) -> Verified | None:
        """The repaired answer; None if there is none."""
        reply = answer.reply
        if reply.cut or len(reply.text) > self.provider.most * LONGEST_TOKEN:
            return None
        answer = self._answer_to(part, repair(part.prompt, reply.text, why))
        answered.seconds += answer.reply.seconds
        if answer.reply.refused:
            return None
        try:
            return verify(answer.reply, part.passage, part.categories)
        except Unverified:
            return None

    def account(self, part: Part) -> Account:
        """Return the account of a question."""
        return Account(
            self.provider.name, part.document, part.id, "contract", Caps(self.budget, self.budget)
        )

    def _answer_to(self, part: Part, prompt: Prompt) -> ProviderCall:
        """Return a remembered answer or a new one. Raises Unread or Ended."""
        account = self.account(part)
        until = self._clock() + self.asked.patience
        while True:
            if known := recall(self.ledger, account, [self.provider], prompt):
                return known
            try:
                answer = self._call(account, prompt)
            except TooManyCalls as error:
                raise Unread(error.message) from None
            except AskedNow as error:
                if self._clock() + LEAST_WAIT > until:
                    raise Left(error.message) from None
                self._sleep(LEAST_WAIT)
            except ProviderStopped as error:
                raise Ended(error.message) from None
            except ProviderError as error:
                self._wait(error, until)
            else:
                self._refusals = 0
                return answer

    def _call(self, account: Account, prompt: Prompt) -> ProviderCall:
        """Make a call as soon as the budget allows it.

        Running calls reserve more than they cost, so a refused call waits for their bills.
        """
        while not self.ended:
            refused = False
            with self._guard:
                self._in_hand += 1
                settled = self._settled
            try:
                return call(self.ledger, account, self.provider, prompt, utc_now(), BEGAN)
            except BudgetSpent:
                refused = True
            finally:
                with self._guard:
                    self._in_hand -= 1
                    self._settled += not refused
                    self._guard.notify_all()
            with self._guard:
                if settled != self._settled:
                    continue
                if not self._in_hand:
                    raise Ended(self._room([prompt]).missing)
                self._guard.wait(LEAST_WAIT)
        raise Ended(self.ended)

    def _wait(self, error: ProviderError, until: float) -> None:
        """Wait before a retry. Raises Unread for a refusal, or Ended if waiting does not help."""
        if isinstance(error, Refused) and not isinstance(error, TooBusy):
            self._refusals += 1
            if self._refusals >= REFUSALS:
                raise Ended(error.message) from None
            raise Unread(error.message) from None
        wait = max(self.provider.breaker.wait(), error.wait or 0.0, LEAST_WAIT)
        if self._clock() + wait > until:
            raise Ended(error.message) from None
        self._sleep(wait)


@dataclass(frozen=True)
class Room:
    """The budget that one more call needs, in millionths of a US$.

    Args:
        worst: worst case of the most expensive call; 0 without a call.
    """

    budget: int
    worst: int
    spent: int

    @property
    def least(self) -> int:
        """The smallest sufficient budget, in whole cents."""
        return -(-(self.spent + self.worst) // CENT) * CENT

    @property
    def enough(self) -> bool:
        """Whether the budget suffices."""
        return not self.worst or self.spent + self.worst <= self.budget

    @property
    def missing(self) -> str:
        """The message that the budget is too small, with the smallest one that works."""
        used = f", after US$ {self.spent / 1e6:,.4f} are spent" if self.spent else ""
        return (
            f"the budget of US$ {self.budget / 1e6:,.2f} is too small for the worst case of "
            f"another call, US$ {self.worst / 1e6:,.4f}{used}: it must be at least "
            f"US$ {self.least / 1e6:,.2f}"
        )


@dataclass(frozen=True)
class Part:
    """One question about one window of a document."""

    document: str
    number: int
    offset: int
    passage: Masked
    categories: Mapping[str, str]

    @property
    def id(self) -> str:
        """The id of the question in the ledger."""
        asked = [self.document, self.number, *self.categories]
        return f"cm_{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:48]}"

    @property
    def prompt(self) -> Prompt:
        return question(self.categories, self.passage)

    def halves(self) -> Iterator[Part]:
        """The same window, asked for half of the categories each."""
        items = list(self.categories.items())
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            yield replace(self, categories=dict(half))

    def found(self, verified: Verified) -> Iterator[Found]:
        """The clauses as the document has them."""
        for category, (start, end) in verified.clauses:
            low, high = self.passage.source(start, end)
            text = self.passage.original[low:high]
            yield Found(category, text, self.offset + low, self.offset + high)


def windows(text: str, most: int) -> Iterator[tuple[int, int]]:
    """Cut a text into parts, each at the last paragraph, line, sentence or word before `most`."""
    start = 0
    while len(text) - start > most:
        last = start + most
        cuts = (text.rfind(sign, start + most // 2, last) for sign in ("\n\n", "\n", ". ", " "))
        end = next((cut + 1 for cut in cuts if cut >= 0), last)
        yield start, end
        start = end
    if text[start:].strip():
        yield start, len(text)


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger of one comparison, in a separate folder.

    Raises SettingsError or Unavailable if it can't be used.
    """
    store = Store(f"sqlite:///{(folder / 'ledger.db').resolve()}", "escalation", MIGRATIONS)
    try:
        store.migrate()
        yield Ledger(store)
    finally:
        store.close()
