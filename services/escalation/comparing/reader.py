"""A frontier model reads whole documents, window by window, and pays from one budget.

All calls count for the day that the comparison began, so that its budget is one sum however often
it is cut off and goes on. Answers are remembered by their question, so that none that came is paid
twice. One that was on its way when the process died is lost: its worst case counts as spent, and
it is asked once more.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from services.escalation.asking import LONGEST_TOKEN
from services.escalation.comparing.prompts import SYSTEM, Verified, question, verify
from services.escalation.comparing.store import Cost, costs
from services.escalation.hearing import Account, Heard, call, recall
from services.escalation.injections import speaks_to_machines
from services.escalation.ledger import (
    AskedNow,
    BudgetSpent,
    Caps,
    Ledger,
    ProviderStopped,
    TooManyCalls,
)
from services.escalation.ledger.ledger import utc_now
from services.escalation.ledger.store import praise
from services.escalation.masking import Masked, mask
from services.escalation.party_names import Known, known_names
from services.escalation.policy import Hidden
from services.escalation.prompting import Unverified, repair
from services.escalation.providers import Prompt, Provider, ProviderError, Refused, TooBusy
from services.escalation.store import MIGRATIONS
from shared.storage import Store

BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
"""The day that all calls of a comparison count for: no other uses its ledger."""
CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English, for what is told before anything is paid."""
REFUSALS = 3
"""Documents in a row that a provider refuses, after which it is asked no more."""
LEAST_WAIT = 1.0
CENT = 10_000
"""Millionths of a US$."""


@dataclass(frozen=True)
class Asked:
    """How documents are asked about.

    Args:
        categories: the definition of each.
        window: characters of one part of a document at most.
        at_once: categories of one question.
        hidden: what is masked before it leaves.
        patience: seconds for which a provider that does not answer is tried again.
    """

    categories: Mapping[str, str]
    window: int = 20_000
    at_once: int = 50
    hidden: frozenset[Hidden] = frozenset()
    patience: float = 600.0

    def groups(self) -> Iterator[Mapping[str, str]]:
        """The categories of each question."""
        names = list(self.categories)
        for first in range(0, len(names), self.at_once):
            yield {name: self.categories[name] for name in names[first : first + self.at_once]}


@dataclass(frozen=True)
class Found:
    """A clause that the model quoted; `text` is the document's own."""

    category: str
    text: str
    start: int
    end: int


@dataclass
class Answered:
    """What a model said of one document."""

    found: list[Found] = field(default_factory=list)
    seconds: float = 0.0
    """That its answers took, one after the other."""
    rejected: int = 0
    """Clauses whose words the document does not have."""
    unusable: int = 0
    """Questions that it declined, or answered otherwise than asked, also when asked again."""


class Unread(Exception):
    """The model does not read this document; the message says why."""


class Left(Unread):
    """The document was left, because nothing more could be asked; it is read another time."""


class Ended(Exception):
    """Nothing more can be asked; the message says why."""


class FrontierReader:
    """Reads documents by one model. Threads share it.

    Args:
        budget: millionths of a US$ that all calls to the provider may cost, in this ledger.
        clock: of seconds; `sleep` lets them pass.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        budget: int,
        asked: Asked,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.ledger = ledger
        self.budget = budget
        self.asked = asked
        self.ended: str | None = None
        """Why nothing more is asked."""
        self._clock = clock
        self._sleep = sleep
        self._guard = threading.Condition()
        self._in_hand = 0
        self._settled = 0
        self._refusals = 0

    def read_all(self, texts: Sequence[str], workers: int = 1) -> Iterator[Answered | Unread]:
        """Read documents, several at a time; what comes back is in their order. Once nothing more
        can be asked, the others are `Left`.
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

    def read(self, text: str) -> Answered:
        """Read one document. Raises Unread, or Ended."""
        if words := speaks_to_machines(text):
            raise Unread(f"it speaks to machines, so it is not sent: {words}")
        answered = Answered()
        for part in self._parts(text):
            self._ask(part, answered)
        answered.found = list(dict.fromkeys(answered.found))
        return answered

    def _parts(self, text: str) -> Iterator[Part]:
        """Every question about a document."""
        known = self._known(text)
        for number, (start, end) in enumerate(windows(text, self.asked.window)):
            passage = mask(text[start:end], self.asked.hidden, known)
            for group in self.asked.groups():
                yield Part(self.key(text), number, start, passage, group)

    def _known(self, text: str) -> Known:
        """What the parties of a document go by, where that is hidden."""
        return known_names(text) if "parties" in self.asked.hidden else Known()

    def key(self, text: str) -> str:
        """What the ledger knows a document by: its text, and how it is asked about."""
        how = [
            self.provider.model,
            self.provider.most,
            SYSTEM,
            self.asked.window,
            self.asked.at_once,
        ]
        whole = [text, *map(str, how), sorted(self.asked.hidden), dict(self.asked.categories)]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:48]

    def cost(self, texts: Sequence[str]) -> Cost:
        """What these documents cost, asked as they are: a text that stands twice is asked once."""
        with self.ledger.database.read() as session:
            known = costs(session, self.provider.name)
        of = [known[key] for key in dict.fromkeys(map(self.key, texts)) if key in known]
        return _sum(of)

    def spent(self) -> Cost:
        """What the provider was paid from this ledger, whatever it was asked."""
        with self.ledger.database.read() as session:
            return _sum(list(costs(session, self.provider.name).values()))

    def expected(self, texts: Sequence[str], written: int) -> Cost:
        """About what reading would cost, before anything is asked.

        Args:
            written: characters of the clauses that are to be quoted.
        """
        calls = characters = 0
        for text in texts:
            for part in self._parts(text):
                prompt = part.prompt
                characters += len(prompt.system) + sum(map(len, prompt.turns))
                calls += 1
        tokens = (characters // CHARACTERS_PER_TOKEN, written // CHARACTERS_PER_TOKEN + 20 * calls)
        price = self.provider.price
        exact = tokens[0] * price.input + tokens[1] * price.output
        return Cost(calls, int(exact), *tokens)

    def room(self, texts: Sequence[str]) -> Room:
        """What the budget needs for any one call of those that no answer is remembered for."""
        asked = (
            part.prompt
            for text in texts
            for part in self._parts(text)
            if not recall(self.ledger, self.account(part), [self.provider], part.prompt)
        )
        return self._room(asked)

    def _room(self, prompts: Iterable[Prompt]) -> Room:
        """What the budget needs for the dearest of some calls, beside what is spent."""
        price, provider = self.provider.price, self.provider
        worst = max((price.of(provider.worst_case(prompt)) for prompt in prompts), default=0)
        return Room(self.budget, worst, self.spent().micro_usd)

    def _read(self, text: str) -> Answered | Unread:
        if self.ended:
            return Left(self.ended)
        try:
            return self.read(text)
        except Unread as error:
            return error
        except Ended as error:
            self.ended = self.ended or str(error)
            return Left(self.ended)

    def _ask(self, part: Part, answered: Answered) -> None:
        """One question, with one repair; one that is too much for an answer is asked in halves."""
        heard = self._heard(part, part.prompt)
        answered.seconds += heard.reply.seconds
        if heard.reply.refused:
            answered.unusable += 1
            return
        if heard.reply.cut and len(part.categories) > 1:
            for half in part.halves():
                self._ask(half, answered)
            return
        try:
            verified = verify(heard.reply, part.passage, part.categories)
        except Unverified as error:
            repaired = self._repaired(heard, part, str(error), answered)
            if repaired is None:
                answered.unusable += 1
                return
            verified = repaired
        else:
            self._share(heard)
        answered.rejected += verified.rejected
        answered.found += part.found(verified)

    def _share(self, heard: Heard) -> None:
        """Let other documents with the same window have an answer."""
        with self.ledger.database.write() as session:
            praise(session, self.provider.name, heard.call_id)

    def _repaired(self, heard: Heard, part: Part, why: str, answered: Answered) -> Verified | None:
        """What comes of asking once more; None if that is not worth it, or no better."""
        reply = heard.reply
        if reply.cut or len(reply.text) > self.provider.most * LONGEST_TOKEN:
            return None
        heard = self._heard(part, repair(part.prompt, reply.text, why))
        answered.seconds += heard.reply.seconds
        if heard.reply.refused:
            return None
        try:
            return verify(heard.reply, part.passage, part.categories)
        except Unverified:
            return None

    def account(self, part: Part) -> Account:
        """On whose money a question is asked."""
        return Account(
            self.provider.name, part.document, part.id, "contract", Caps(self.budget, self.budget)
        )

    def _heard(self, part: Part, prompt: Prompt) -> Heard:
        """An answer that is remembered, or a new one; one that another document waits for just now
        is waited for. Raises Unread, or Ended.
        """
        account = self.account(part)
        until = self._clock() + self.asked.patience
        while True:
            if known := recall(self.ledger, account, [self.provider], prompt):
                return known
            try:
                heard = self._call(account, prompt)
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
                return heard

    def _call(self, account: Account, prompt: Prompt) -> Heard:
        """A call, once the budget has its worst case: while others are in hand it may yet, and so
        it may where one of them has ended since this one was refused.
        """
        while True:
            if self.ended:
                raise Ended(self.ended)
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

    def _wait(self, error: ProviderError, until: float) -> None:
        """Wait until a provider may answer. Raises Unread for what it refuses, and Ended where it
        refuses everything, or waiting does not help.
        """
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
    """Whether a budget has the worst case of one more call. Millionths of a US$.

    Args:
        worst: what the dearest call is set aside with until its bill comes; 0 if there is none.
        spent: of the budget, by earlier calls.
    """

    budget: int
    worst: int
    spent: int

    @property
    def least(self) -> int:
        """The least budget that has room for it, in whole cents."""
        return -(-(self.spent + self.worst) // CENT) * CENT

    @property
    def enough(self) -> bool:
        """Whether there is room."""
        return not self.worst or self.spent + self.worst <= self.budget

    @property
    def missing(self) -> str:
        """That there is none, and what would do."""
        used = f" beside the US$ {self.spent / 1e6:,.4f} that are spent" if self.spent else ""
        return (
            f"the budget of US$ {self.budget / 1e6:,.2f} has no room for the worst case of another "
            f"call, US$ {self.worst / 1e6:,.4f}{used}: the least that would do is "
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
        """What the ledger knows the question by."""
        asked = [self.document, self.number, *self.categories]
        return f"cm_{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:48]}"

    @property
    def prompt(self) -> Prompt:
        return question(self.categories, self.passage)

    def halves(self) -> Iterator[Part]:
        """The same window, asked for half of the categories each."""
        names = list(self.categories)
        middle = len(names) // 2
        for half in (names[:middle], names[middle:]):
            own = {name: self.categories[name] for name in half}
            yield Part(self.document, self.number, self.offset, self.passage, own)

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


def _sum(of: Sequence[Cost]) -> Cost:
    return Cost(
        sum(one.calls for one in of),
        sum(one.micro_usd for one in of),
        sum(one.tokens_in for one in of),
        sum(one.tokens_out for one in of),
    )


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger of one comparison, in a folder of its own.

    Raises SettingsError or Unavailable if it can't be used.
    """
    store = Store(f"sqlite:///{(folder / 'ledger.db').resolve()}", "escalation", MIGRATIONS)
    try:
        store.migrate()
        yield Ledger(store)
    finally:
        store.close()
