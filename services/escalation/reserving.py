"""What questions set aside of the budget until the bill is there: the worst case, in US$."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from services.escalation.asking import LARGEST_WINDOW
from services.escalation.batching import TOGETHER, Part, several_prompt
from services.escalation.masking import mask
from services.escalation.policy import TenantPolicy
from services.escalation.providers import Prompt
from services.escalation.subjects import prompt_of
from shared.events import BlobRef
from shared.events.questions import Candidate, Question

WINDOW = 2_500
"""Characters of a passage of a contract: extraction sends a clause with 1,000 on each side."""
USUAL = {"contract": 4 * WINDOW, "report": 4_000}
"""Characters of what is usually sent of a document at once: of a contract several passages, of a
report the tables of one finding. In training contracts the median is 9,512
(`tests/infra/test_evaluate_windows.py` holds both to what would be sent)."""
LONGEST = {"contract": LARGEST_WINDOW, "report": 16_000}
"""The same at most: of a contract the passages of up to eight questions together, of a report the
tables of one (`LONGEST` of triage's questions)."""
DEFINITION, LONG_DEFINITION = 150, 400
"""Characters of what is asked about a passage, usually and at most."""
CANDIDATES, MANY_CANDIDATES = 350, 1_600
"""Characters of the candidates of a question, which are sent beside its passage."""
ESCAPED = 1.04
"""Bytes that a character of a passage takes in a prompt, at most: a line's end takes two."""


@dataclass(frozen=True)
class Reserved:
    """US$ that a prompt sets aside, at whoever may be asked for the least."""

    least: float
    """With next to no words of a document: none sets less aside."""
    usual: float
    """With passages of `characters`."""
    most: float
    """As much as goes together."""
    characters: int


def reserved(policy: TenantPolicy, kind: Literal["contract", "report"]) -> Reserved | None:
    """What a prompt about a document of a kind sets aside; None if nobody may be asked."""
    providers = policy.may_see(kind)
    if not providers:
        return None

    def worst(prompt: Prompt) -> float:
        return min(one.price.of(one.worst_case(prompt)) for one in providers) / 1e6

    least = prompt_of(_part(kind, 1, 0, 0))
    if kind == "report":
        usual, most = (
            prompt_of(_part(kind, size, DEFINITION, 0)) for size in (USUAL[kind], LONGEST[kind])
        )
    else:
        usual = _together(USUAL[kind], USUAL[kind] // WINDOW + 1, DEFINITION, CANDIDATES)
        most = _together(LONGEST[kind], TOGETHER, LONG_DEFINITION, MANY_CANDIDATES)
    return Reserved(worst(least), worst(usual), worst(most), USUAL[kind])


def _together(characters: int, questions: int, asks: int, candidates: int) -> Prompt:
    """Questions about passages of `WINDOW`, the last of which has those that are left."""
    passages = characters // WINDOW
    return several_prompt(
        [
            _part("contract", WINDOW, asks, candidates, min(number, passages - 1), number)
            for number in range(questions)
        ]
    )


def _part(
    kind: Literal["contract", "report"],
    characters: int,
    asks: int,
    candidates: int,
    passage: int = 0,
    category: int = 0,
) -> Part:
    """A question about a passage of so many characters; each number is another passage, or another
    category.
    """
    size = math.ceil(characters * ESCAPED)
    shown = min(candidates, size)
    question = Question(
        subject="clause" if kind == "contract" else "finding",
        kind=kind,
        text=BlobRef(sha256="0" * 64, size=size),
        start=0,
        end=size,
        category=f"x{category}",
        definition="x" * asks,
        candidates=(Candidate(start=0, end=shown, confidence=0.5),) if shown else (),
    )
    return Part(question, mask(f"{passage}".ljust(size, "x"), frozenset()))
