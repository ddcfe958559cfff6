"""The price of asking a frontier model about clauses: the prompts that would be sent.

No model is asked. Tokens are counted like expected costs in the product
(`shared/policy/escalation_value.py`): four characters each, and a constant for each answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.judging import ScoredContract
from services.escalation.masking.masking import mask
from services.escalation.prompts.questions import Part, numbers_of, several_prompt
from services.escalation.prompts.subjects import prompt_of
from services.extraction.questions import (
    UncertainResult,
    question_batches,
    worth_asking,
)
from shared.events import BlobRef
from shared.events.questions import Question
from shared.policy.escalation_value import (
    ANSWER_TOKENS,
    CHARACTERS_PER_TOKEN,
    TenantEscalationRules,
)
from shared.policy.prices import Price, Usage
from shared.policy.rules import RiskRules

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
_TEXT = BlobRef(sha256="0" * 64, size=1)


class Bill(NamedTuple):
    """The price of some questions together, and the number of their prompts."""

    usd: float
    calls: int


def bill_of(text: str, asked: Sequence[UncertainResult], price: Price) -> Bill:
    """The price of questions about one contract."""
    prices = [_price(batch, text, price) for batch in question_batches(asked, text, _TEXT, ())]
    return Bill(sum(prices), len(prices))


def _price(batch: Sequence[Question], text: str, price: Price) -> float:
    """The price of one prompt and its answer."""
    parts = [_part(one, text) for one in batch]
    prompt = prompt_of(parts[0]) if len(parts) == 1 else several_prompt(parts)
    sent = len(prompt.system) + sum(map(len, prompt.turns))
    quoted = sum(c.end - c.start for one in batch for c in one.candidates)
    written = quoted // CHARACTERS_PER_TOKEN + ANSWER_TOKENS * max(numbers_of(parts))
    return price.of(Usage(sent // CHARACTERS_PER_TOKEN, written)) / 1e6


def _part(question: Question, text: str) -> Part:
    return Part(question, mask(text[question.start : question.end], frozenset()))


@dataclass(frozen=True)
class Bills:
    """Prices of questions about some of many candidates.

    Args:
        contracts: with their candidates.
        labels: their names.
        counted: whether each candidate is among the N that flags refer to [candidates].
        price: of the model.
    """

    contracts: Sequence[ScoredContract]
    labels: Sequence[str]
    counted: Flags
    price: Price

    def of(self, asked: Flags) -> Bill:
        """The price of the flagged questions [N]."""
        doubts = zip(self.contracts, self.doubts(asked), strict=True)
        bills = [bill_of(one.text, unsure, self.price) for one, unsure in doubts]
        return Bill(sum(one.usd for one in bills), sum(one.calls for one in bills))

    def doubts(self, asked: Flags) -> list[list[UncertainResult]]:
        """The flagged results of each contract. The id of each is its index among the N."""
        return [
            [
                UncertainResult(str(place), "clause", *span, 0.5, 0.5)
                for place, span in mine
                if asked[place]
            ]
            for mine in self._spans()
        ]

    def worth(self, shown: Flags, belief: Floats) -> Flags:
        """The questions that the product would ask by default: uncertain shown clauses, and the
        likeliest one of each category without a clause.

        Args:
            shown: [N].
            belief: probability that each is right [N].
        """
        asks = TenantEscalationRules({"contract": self.price}, RiskRules().mistake_usd)
        flags = np.zeros(len(shown), bool)
        for contract, mine in zip(self.contracts, self._spans(), strict=True):
            doubts: list[UncertainResult] = []
            nearest: dict[str, UncertainResult] = {}
            for place, span in mine:
                sure, name = float(belief[place]), span[0]
                one = UncertainResult(
                    str(place), "clause" if shown[place] else "category", *span, sure, sure
                )
                if shown[place]:
                    doubts.append(one)
                elif name not in nearest or nearest[name].belief < sure:
                    nearest[name] = one
            names = {one.category for one in doubts}
            doubts += [one for name, one in nearest.items() if name not in names]
            for one in worth_asking(doubts, asks, RiskRules(), len(contract.text)):
                flags[int(one.result_id)] = True
        return flags

    def _spans(self) -> Iterator[list[tuple[int, tuple[str, int, int]]]]:
        """The counted candidates of each contract: index, then category, start and end."""
        counted, place = iter(self.counted), 0
        for contract in self.contracts:
            mine = [one for one in contract.candidates if next(counted)]
            spans = [(self.labels[one.label], one.start, one.end) for one in mine]
            yield list(enumerate(spans, place))
            place += len(mine)
