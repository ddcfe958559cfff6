"""What questions set aside of the budget until the bill is there: the worst case, in US$."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.escalation.asking import LARGEST_WINDOW
from services.escalation.batching import TOGETHER, Part, several_prompt
from services.escalation.masking import mask
from services.escalation.policy import TenantPolicy
from services.escalation.providers import Prompt
from services.escalation.subjects import prompt_of
from shared.events import BlobRef
from shared.events.questions import Question

WINDOW = 2_500
"""Characters of a usual passage: extraction sends a clause with 1,000 on each side of it."""
DEFINITION = 200
"""Characters of what is asked about a usual passage: about as many as the categories of contracts
have."""
LONGEST = {"contract": LARGEST_WINDOW, "report": 16_000}
"""Characters of what is sent of a document at once, at most: of a contract the passages of up to
eight questions together, of a report the tables of one (`LONGEST` of triage's questions)."""


@dataclass(frozen=True)
class Reserved:
    """US$ that a prompt sets aside, at whoever may be asked for the least; each character is taken
    for one byte.
    """

    least: float
    """With next to no words of a document: none sets less aside."""
    usual: float
    """One question with a passage of `WINDOW` characters."""
    most: float
    """As much as goes together."""
    characters: int = WINDOW
    """Of the passage of a usual question."""


def reserved(policy: TenantPolicy, kind: Literal["contract", "report"]) -> Reserved | None:
    """What a prompt about a document of a kind sets aside; None if nobody may be asked."""
    providers = policy.may_see(kind)
    if not providers:
        return None

    def worst(prompt: Prompt) -> float:
        return min(one.price.of(one.worst_case(prompt)) for one in providers) / 1e6

    longest = LONGEST[kind]
    if kind == "contract":
        windows = [_part(kind, WINDOW, DEFINITION, number) for number in range(longest // WINDOW)]
        more = [windows[-1]] * (TOGETHER - len(windows))
        most = several_prompt([*windows, *more])
    else:
        most = prompt_of(_part(kind, longest, DEFINITION))
    least, usual = (prompt_of(_part(kind, *size)) for size in ((1, 0), (WINDOW, DEFINITION)))
    return Reserved(worst(least), worst(usual), worst(most))


def _part(kind: Literal["contract", "report"], characters: int, asks: int, number: int = 0) -> Part:
    """A question with a passage of so many characters; each number has another one."""
    question = Question(
        subject="clause" if kind == "contract" else "finding",
        kind=kind,
        text=BlobRef(sha256="0" * 64, size=characters),
        start=0,
        end=characters,
        category="x",
        definition="x" * asks,
    )
    return Part(question, mask(f"{number}".ljust(characters, "x"), frozenset()))
