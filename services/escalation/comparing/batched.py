"""A frontier model reads whole documents by its batch interface: at half the price, within a day.

Round by round: whatever no answer is remembered for is handed in, the answers are waited for and
settled, and the documents are read again with what is remembered then. What comes of an answer
(halves of one that was cut off, a repair) is handed in with the next round. It ends when nothing is
left to be asked, or when a round has brought no answer at all.

It may be stopped at any time: what was handed in is fetched when it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from services.escalation.batches import Batch, Batches, HandedIn
from services.escalation.comparing.reader import (
    BEGAN,
    Answered,
    Asked,
    Ended,
    FrontierReader,
    Left,
    Part,
    Unread,
)
from services.escalation.hearing import Account, Heard, recall
from services.escalation.ledger import Ledger, ProviderStopped
from services.escalation.providers import Prompt, Provider, ProviderError, Refused, TooBusy

Tell = Callable[[str], None]
PATIENCE = 10
"""How often in a row a provider may not answer when it is to take a batch."""


def _nobody(_line: str) -> None:
    return None


class _ToAsk(Exception):
    """A question that no answer is remembered for."""

    def __init__(self, account: Account, prompt: Prompt) -> None:
        super().__init__()
        self.asked = account, prompt


class BatchReader(FrontierReader):
    """Reads documents by batches of one model. See `FrontierReader`.

    Args:
        provider: at its usual price.
        every: seconds between two looks at what was handed in.
        tell: is told in words how far it is.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        budget: int,
        asked: Asked,
        *,
        every: float = 60.0,
        tell: Tell = _nobody,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(provider.at_batch_price(), ledger, budget, asked, sleep=sleep)
        self.batches = Batches(ledger, ledger.clock)
        self.every = every
        self.tell = tell
        self.handed_in = 0
        """Batches, in this run."""
        self.waited = 0.0
        """Seconds for which batches were waited for, in this run."""
        self._unreached = 0
        """How often in a row nothing could be handed in."""
        self._to_ask: list[tuple[Account, Prompt]] = []
        self._never: dict[str, str] = {}
        """Questions that may not be asked any more, by their escalation's id, and why."""

    def read_all(self, texts: Sequence[str], workers: int = 1) -> Iterator[Answered | Unread]:  # noqa: ARG002 (the provider has its own)
        """Read documents; what comes back is in their order, when all have been read."""
        different = list(dict.fromkeys(texts))
        try:
            self._wait_for_all()
            while questions := self._questions(different):
                self._round(questions)
        except Ended as error:
            self.ended = str(error)
        self._to_ask = []
        last = {text: self._read(text) for text in different}
        for text in texts:
            yield last[text]

    def _read(self, text: str) -> Answered | Unread:
        """As far as it is answered: a document with a question left is `Left`."""
        before = len(self._to_ask)
        try:
            answered = self.read(text)
        except Unread as error:
            return error
        if len(self._to_ask) > before:
            return Left(self.ended or "it is not answered yet")
        return answered

    def _questions(self, texts: Sequence[str]) -> list[tuple[Account, Prompt]]:
        """What is left to be asked; the same words once."""
        self._to_ask = []
        for text in texts:
            self._read(text)
        return list({(p.system, p.turns): (a, p) for a, p in reversed(self._to_ask)}.values())[::-1]

    def _round(self, questions: list[tuple[Account, Prompt]]) -> None:
        """Hand in what there is money for, and wait. Raises Ended where no answer came of it."""
        spent, before, dropped = "", self._answers(), False
        while questions and not spent:
            came = self._hand_in(questions)
            if came is None:
                return
            spent = came.spent
            dropped |= bool(came.dropped)
            for place, reason in came.dropped.items():
                self._never[questions[place][0].escalation_id] = reason
            if came.batch is None:
                break
            self.handed_in += 1
            self.tell(
                f"{came.batch.requests:,} questions are handed in; looked at every "
                f"{self.every:g} seconds. It may be stopped: the same command goes on"
            )
            questions = questions[came.taken :]
        ended = self._wait_for_all()
        lost = [batch.reason for batch in ended if batch.state == "lost"]
        if lost:  # for a day: whoever wants to wait for another one says so
            raise Ended(lost[-1])
        if self._answers() > before or dropped:
            return
        reasons = [batch.reason for batch in ended if batch.reason]
        if spent and not ended:
            reasons = [self._room(prompt for _, prompt in questions).missing]
        raise Ended(reasons[-1] if reasons else "a batch ended without a single answer")

    def _hand_in(self, questions: Sequence[tuple[Account, Prompt]]) -> HandedIn | None:
        """Hand in, as often as the provider can't be reached; None where a batch may have arrived,
        and is over now. Raises Ended where the provider does not take it.
        """
        while self._unreached < PATIENCE:
            try:
                came = self.batches.hand_in(self.provider, questions, BEGAN)
            except ProviderStopped as error:
                raise Ended(error.message) from None
            except ProviderError as error:
                if isinstance(error, Refused) and not isinstance(error, TooBusy):
                    raise Ended(error.message) from None
                self._unreached += 1
                if error.may_be_billed:  # it may have arrived: it is looked for
                    self.tell(f"{error.message}; it is looked for in the provider's list")
                    self._wait_for_all()
                    return None
                self.tell(f"{error.message}; tried again")
                self._sleep(max(error.wait or 0.0, self.every))
            else:
                self._unreached = 0
                return came
        raise Ended(f"{self.provider.name} does not take a batch")

    def _wait_for_all(self) -> list[Batch]:
        """Wait until nothing is handed in any more. Returns what was, as it ended."""
        ended: list[Batch] = []
        while open_ := self.batches.open(self.provider.name):
            for batch in open_:
                try:
                    looked = self.batches.look(self.provider, batch, alone=True)
                except ProviderError as error:
                    self.tell(f"{error.message}; looked at again")
                    continue
                if not looked.is_open:
                    ended.append(looked)
            if self.batches.open(self.provider.name):
                self._sleep(self.every)
                self.waited += self.every
        for batch in self.batches.left(timedelta(0)):
            if batch.provider == self.provider.name:
                self.batches.delete(self.provider, batch)
        return ended

    def _answers(self) -> int:
        """How many calls have a bill, or count as if they had."""
        return self.spent().calls

    def _ask(self, part: Part, answered: Answered) -> None:
        """As if it was answered, unless there is no answer yet."""
        try:
            super()._ask(part, answered)
        except _ToAsk as error:
            self._to_ask.append(error.asked)

    def _heard(self, part: Part, prompt: Prompt) -> Heard:
        account = self.account(part)
        if known := recall(self.ledger, account, [self.provider], prompt):
            return known
        if reason := self._never.get(part.id):
            raise Unread(reason)
        raise _ToAsk(account, prompt)
