"""What is said and understood of a question that is asked alone, by what it is about."""

from __future__ import annotations

from typing import Any

from services.escalation.batching import CLAUSES, Part
from services.escalation.figures import Figures, figures_prompt, understand_figures
from services.escalation.hearing import Heard
from services.escalation.prompting import Understood, first_prompt, understand
from services.escalation.providers import Prompt, Reply
from services.escalation.sorting import sorting_prompt, understand_sorting
from shared.events.questions import Proposal, Quote


def prompt_of(part: Part) -> Prompt:
    """The question."""
    question, passage = part.question, part.passage
    if question.subject == "finding":
        return figures_prompt(question, passage)
    if question.subject in CLAUSES:
        return first_prompt(question, passage)
    return sorting_prompt(question, passage)


def understood(reply: Reply, part: Part) -> Understood | Figures:
    """What its answer says, as far as it could be verified. Raises Unverified."""
    question, passage = part.question, part.passage
    if question.subject == "finding":
        return understand_figures(reply, question)
    if question.subject in CLAUSES:
        return understand(reply, passage, part.near)
    return understand_sorting(reply, question, passage, part.near)


def proposal_of(part: Part, found: Understood | Figures, heard: Heard) -> Proposal:
    """What an answer proposes. Raises ValueError for one that is unsure."""
    if found.verdict == "unsure":
        raise ValueError("what is unsure is no proposal")
    return Proposal(
        subject=part.question.subject,
        verdict=found.verdict,
        category=part.question.category,
        why=part.passage.unmasked(found.why),
        provider=heard.provider.name,
        model=heard.provider.model,
        stand_in=heard.provider.stand_in,
        **(_cells(found) if isinstance(found, Figures) else _words(part, found)),
    )


def _cells(found: Figures) -> dict[str, Any]:
    names = ("cell", "expected", "arithmetic", "total", "tolerance")
    return {name: getattr(found, name) for name in names}


def _words(part: Part, found: Understood) -> dict[str, Any]:
    offset, quotes = part.question.start, []
    for start, end in found.spans:
        low, high = part.passage.source(start, end)
        words = part.passage.original[low:high]
        quotes.append(Quote(text=words, start=offset + low, end=offset + high))
    return {"quotes": tuple(quotes)}
