"""Estimates of the worst case of prompts, in US$."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from services.escalation.gateway import LARGEST_WINDOW
from services.escalation.masking.masking import mask
from services.escalation.policy.policy import TenantPolicy
from services.escalation.prompts.questions import TOGETHER, Part, several_prompt
from services.escalation.prompts.subjects import prompt_of
from services.escalation.providers import Prompt
from shared.events import BlobRef
from shared.events.questions import Candidate, Question

WINDOW = 2_500  # characters of a passage of a contract
USUAL = {"contract": 4 * WINDOW, "report": 4_000}
"""Usual characters of a prompt: several passages of a contract, tables of one finding."""
LONGEST = {"contract": LARGEST_WINDOW, "report": 16_000}  # largest number of characters of a prompt
DEFINITION, LONG_DEFINITION = 150, 400
"""Characters of the question about a passage, usually and at most."""
CANDIDATES, MANY_CANDIDATES = 350, 1_600
"""Characters of the candidates of a question, usually and at most."""
ESCAPED = 1.04  # bytes of a character in a prompt, at most


@dataclass(frozen=True)
class CostEstimate:
    """The worst case of a prompt at the cheapest permitted provider, in US$."""

    least: float  # with almost no text
    usual: float  # with `characters` of text
    most: float  # with the largest prompt
    characters: int


def estimate(policy: TenantPolicy, kind: Literal["contract", "report"]) -> CostEstimate | None:
    """Estimate a prompt about a kind of document; None if no provider may see it."""
    providers = policy.may_see(kind)
    if not providers:
        return None

    def worst(prompt: Prompt) -> float:
        return min(one.price.of(one.worst_case(prompt)) for one in providers) / 1e6

    least = prompt_of(_part(kind, 1, 0, 0))
    if kind == "report":
        sizes = USUAL[kind], LONGEST[kind]
        usual, most = (prompt_of(_part(kind, size, DEFINITION, 0)) for size in sizes)
    else:
        usual = _together(USUAL[kind], USUAL[kind] // WINDOW + 1, DEFINITION, CANDIDATES)
        most = _together(LONGEST[kind], TOGETHER, LONG_DEFINITION, MANY_CANDIDATES)
    return CostEstimate(worst(least), worst(usual), worst(most), USUAL[kind])


def _together(characters: int, questions: int, asks: int, candidates: int) -> Prompt:
    """A prompt with questions about passages of `WINDOW`."""
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
    """A question about a passage of so many characters."""
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
