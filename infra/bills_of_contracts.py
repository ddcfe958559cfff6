"""What asking a frontier model about clauses of contracts costs: the prompts that would be sent.

No model is asked. Tokens are counted as the product expects them before it pays
(`shared/asking.py`): four characters each, and so many for the form of every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluate import Judged
from services.escalation.batching import Part, numbers_of, several_prompt
from services.escalation.masking import mask
from services.escalation.subjects import prompt_of
from services.extraction.questions import Asked, Doubt, batches
from shared.asking import CHARACTERS_PER_TOKEN, WRITTEN, Tokens
from shared.events import BlobRef
from shared.prices import Price

Flags = NDArray[np.bool_]
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


def bill_of(text: str, asked: Sequence[Doubt], price: Price) -> Bill:
    """What asking about doubts of one contract costs."""
    total = Bill()
    for batch in batches(asked, text, _TEXT, ()):
        parts = [_part(one, text) for one in batch]
        prompt = prompt_of(parts[0]) if len(parts) == 1 else several_prompt(parts)
        sent = len(prompt.system) + sum(map(len, prompt.turns))
        quoted = sum(c.end - c.start for one in batch for c in one.question.candidates)
        written = quoted // CHARACTERS_PER_TOKEN + WRITTEN * max(numbers_of(parts))
        usage = Tokens(sent // CHARACTERS_PER_TOKEN, written)
        total += Bill(price.of(usage) / 1e6, 1, len(parts), sent)
    return total


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
        chosen = np.zeros(len(self.counted), bool)
        chosen[self.counted] = asked
        total, before = Bill(), 0
        for contract in self.contracts:
            mine = chosen[before : before + len(contract.candidates)]
            before += len(contract.candidates)
            unsure = [self._doubt(contract, place) for place in np.flatnonzero(mine).tolist()]
            total += bill_of(contract.text, unsure, self.price)
        return total

    def _doubt(self, contract: Judged, place: int) -> Doubt:
        one = contract.candidates[place]
        return Doubt(str(place), "clause", self.labels[one.label], one.start, one.end, 0.5, 0.5)
