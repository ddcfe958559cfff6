"""What asking a frontier model about clauses of contracts costs: the prompts that would be sent.

No model is asked. Tokens are counted as the product expects them before it pays
(`shared/asking.py`): four characters each, and so many for the form of every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluate import Judged
from services.escalation.batching import Part, numbers_of, several_prompt
from services.escalation.masking import mask
from services.escalation.providers import Prompt
from services.escalation.subjects import prompt_of
from services.extraction.questions import AROUND, Asked, Doubt, batches, worth_asking
from shared.asking import CHARACTERS_PER_TOKEN, WRITTEN, AskRules, Tokens
from shared.events import BlobRef
from shared.policy import RiskRules
from shared.prices import Price

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
_TEXT = BlobRef(sha256="0" * 64, size=1)


@dataclass(frozen=True)
class Bill:
    """What some questions cost together.

    Args:
        usd: of all prompts and answers.
        calls: prompts.
        questions: of their results, of which some share an answer.
        characters: sent.
    """

    usd: float = 0.0
    calls: int = 0
    questions: int = 0
    characters: int = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.usd + other.usd,
            self.calls + other.calls,
            self.questions + other.questions,
            self.characters + other.characters,
        )


def bill_of(text: str, asked: Sequence[Doubt], price: Price, around: int = AROUND) -> Bill:
    """What asking about doubts of one contract costs, with so many characters on each side."""
    total = Bill()
    for batch in batches(asked, text, _TEXT, (), around=around):
        prompt, parts = _prompt(batch, text)
        sent = len(prompt.system) + sum(map(len, prompt.turns))
        quoted = sum(c.end - c.start for one in batch for c in one.question.candidates)
        written = quoted // CHARACTERS_PER_TOKEN + WRITTEN * max(numbers_of(parts))
        usage = Tokens(sent // CHARACTERS_PER_TOKEN, written)
        total += Bill(price.of(usage) / 1e6, 1, len(parts), sent)
    return total


def prompts_of(text: str, asked: Sequence[Doubt]) -> Iterator[Prompt]:
    """What would be sent to ask about doubts of one contract."""
    for batch in batches(asked, text, _TEXT, ()):
        yield _prompt(batch, text)[0]


def _prompt(batch: Sequence[Asked], text: str) -> tuple[Prompt, list[Part]]:
    parts = [_part(one, text) for one in batch]
    return (prompt_of(parts[0]) if len(parts) == 1 else several_prompt(parts)), parts


def _part(asked: Asked, text: str) -> Part:
    question = asked.question
    return Part(question, mask(text[question.start : question.end], frozenset()))


@dataclass(frozen=True)
class Bills:
    """What asking about some of many candidates costs.

    Args:
        contracts: with their candidates.
        labels: their names.
        counted: which candidates of all contracts, one contract behind the other, have a place in
            the flags that are asked about [candidates].
        price: of the model.
    """

    contracts: Sequence[Judged]
    labels: Sequence[str]
    counted: Flags
    price: Price

    def of(self, asked: Flags) -> Bill:
        """For flags of those that count [N]."""
        doubts = zip(self.contracts, self.doubts(asked), strict=True)
        return sum((bill_of(one.text, unsure, self.price) for one, unsure in doubts), Bill())

    def doubts(self, asked: Flags) -> list[list[Doubt]]:
        """Those that are asked about, of each contract; each is named by its place among those
        that count.
        """
        return [
            [Doubt(str(place), "clause", *span, 0.5, 0.5) for place, span in mine if asked[place]]
            for mine in self._spans()
        ]

    def worth(self, shown: Flags, belief: Floats) -> Flags:
        """Which the product would ask about, with what a prevented mistake is worth by default:
        doubtful ones that are shown, and the likeliest of each category of which none is.

        Args:
            shown: [N].
            belief: how likely each is right [N].
        """
        asks = AskRules({"contract": self.price}, RiskRules().mistake_usd)
        flags = np.zeros(len(shown), bool)
        for contract, mine in zip(self.contracts, self._spans(), strict=True):
            doubts: list[Doubt] = []
            nearest: dict[str, Doubt] = {}
            for place, (name, start, end) in mine:
                sure = float(belief[place])
                if shown[place]:
                    doubts.append(Doubt(str(place), "clause", name, start, end, sure, sure))
                elif name not in nearest or nearest[name].belief < sure:
                    nearest[name] = Doubt(str(place), "category", name, start, end, sure, sure)
            names = {one.category for one in doubts}
            doubts += [one for name, one in nearest.items() if name not in names]
            for one in worth_asking(doubts, asks, RiskRules(), len(contract.text)):
                flags[int(one.result_id)] = True
        return flags

    def _spans(self) -> Iterator[list[tuple[int, tuple[str, int, int]]]]:
        """The candidates of each contract that count: place, and category, start and end."""
        counted, place = iter(self.counted), 0
        for contract in self.contracts:
            mine = [one for one in contract.candidates if next(counted)]
            spans = [(self.labels[one.label], one.start, one.end) for one in mine]
            yield list(enumerate(spans, place))
            place += len(mine)
