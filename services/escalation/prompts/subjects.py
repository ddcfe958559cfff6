"""Prompts and answers of single questions, by subject."""

from __future__ import annotations

from typing import Any

from services.escalation.calls import ProviderCall
from services.escalation.prompts.documents import sorting_prompt, understand_sorting
from services.escalation.prompts.findings import Figures, figures_prompt, understand_figures
from services.escalation.prompts.prompt import VerifiedAnswer, first_prompt, understand
from services.escalation.prompts.questions import CLAUSES, Part
from services.escalation.providers import Prompt, Reply
from shared.events.questions import Proposal, Quote


def prompt_of(part: Part) -> Prompt:
    """Return the prompt of a question."""
    question, passage = part.question, part.passage
    if question.subject == "finding":
        return figures_prompt(question, passage)
    if question.subject in CLAUSES:
        return first_prompt(question, passage)
    return sorting_prompt(question, passage)


def understood(reply: Reply, part: Part) -> VerifiedAnswer | Figures:
    """Return the verified answer. Raises Unverified."""
    question, passage = part.question, part.passage
    if question.subject == "finding":
        return understand_figures(reply, question)
    if question.subject in CLAUSES:
        return understand(reply, passage, part.near)
    return understand_sorting(reply, question, passage, part.near)


def proposal_of(part: Part, found: VerifiedAnswer | Figures, call: ProviderCall) -> Proposal:
    """Return the proposal of an answer. Raises ValueError for an unsure one."""
    if found.verdict == "unsure":
        raise ValueError("an unsure answer has no proposal")
    return Proposal(
        subject=part.question.subject,
        verdict=found.verdict,
        category=part.question.category,
        why=part.passage.unmasked(found.why),
        provider=call.provider.name,
        model=call.provider.model,
        stand_in=call.provider.stand_in,
        **(_cells(found) if isinstance(found, Figures) else _words(part, found)),
    )


def _cells(found: Figures) -> dict[str, Any]:
    names = ("cell", "expected", "arithmetic", "total", "tolerance")
    return {name: getattr(found, name) for name in names}


def _words(part: Part, found: VerifiedAnswer) -> dict[str, Any]:
    offset, quotes = part.question.start, []
    for start, end in found.spans:
        low, high = part.passage.source(start, end)
        words = part.passage.original[low:high]
        quotes.append(Quote(text=words, start=offset + low, end=offset + high))
    return {"quotes": tuple(quotes)}
