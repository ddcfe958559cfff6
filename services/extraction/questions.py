"""Choose the results to ask a frontier model about, and write the questions.

Clauses that are not accepted are uncertain. So are categories without a clause, if they have a
nearest passage. A question is asked if the mistakes it is expected to prevent are worth more than
its price (`shared/policy/escalation_value.py`). All other results wait for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from services.extraction.categories import definitions_of
from services.extraction.domain import ExtractedClause, Owner, SearchRecord, clause_id
from services.extraction.pipeline.search import default_threshold
from services.extraction.routing.routes import belief_function, is_recognised
from shared.blobs.markers import ref_of
from shared.documents import ParsedDocument
from shared.events import BlobRef, DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Candidate, Question
from shared.events.types import MAX_FURTHER
from shared.inference import Specialist
from shared.monitoring.sequential_test import STEPS
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.escalation_value import (
    ASSUMED_ACCURACY,
    TenantEscalationRules,
    estimated_usage,
    other_kinds,
)
from shared.policy.rules import RiskRules

OWNER = "extraction"  # owner of the blobs of extraction
CONTEXT = 1_000
"""Characters that are sent on each side of a passage. With them, 99.5% of the passages that are
part of a labelled clause are sent with the whole clause."""
MAX_WINDOW = 8_000  # most characters of a window that several passages share
BATCH_QUESTIONS = 8
"""Most questions in one prompt; those with the same window and category count once."""
BATCH_CHARACTERS = 20_000  # most characters of all windows of one prompt
MAX_QUESTIONS = 40  # most questions about one document
MAX_NAMES = 200  # most party names that are masked, and most characters of one


@dataclass(frozen=True)
class UncertainResult:
    """A clause that is not accepted, or a category without a clause."""

    result_id: str
    subject: Literal["clause", "category"]
    category: str
    start: int
    end: int
    confidence: float
    belief: float  # probability that it is right
    usd: float = 0.0  # expected price of asking


def uncertain_results(
    clauses: Sequence[ExtractedClause],
    searched: SearchRecord,
    belief: Callable[[str, float], float],
    owner: Owner,
) -> list[UncertainResult]:
    """Return the uncertain results of a specialist; none if the search has warnings.

    Args:
        belief: probability that a clause of a category and a confidence is right.
    """
    if searched.warnings:
        return []
    found = []
    for c in clauses:
        if c.route != "accept" and not c.sampled:
            sure, passage = belief(c.category, c.confidence), (c.category, c.start, c.end)
            found.append(UncertainResult(c.id, "clause", *passage, c.confidence, sure))
    shown = {clause.category for clause in clauses}
    for line in searched.categories:
        if line.category not in shown and (near := line.nearest):
            name, sure = clause_id(owner, line.category, near.start, near.end), near.confidence
            passage = (line.category, near.start, near.end)
            found.append(UncertainResult(name, "category", *passage, sure, sure))
    return found


def needs_person(
    result: UncertainResult, reading: ParsedDocument, local: TenantCalibration, usual: float
) -> bool:
    """Whether only a person may answer, even if models are trusted.

    This holds for doubted categories, after all acceptance has ended, and for recognised (OCR)
    text. It also holds for clauses up to the `usual` threshold, which are shown only to limit the
    share of missed clauses.
    """
    stopped = local.step >= STEPS or result.category in local.suspended
    extra = result.subject == "clause" and result.confidence <= usual
    return stopped or extra or is_recognised(result.start, result.end, reading)


def results_to_ask(
    clauses: Sequence[ExtractedClause],
    searched: SearchRecord,
    reading: ParsedDocument | None,
    expert: Specialist,
    local: TenantCalibration,
    rules: RiskRules,
    asks: TenantEscalationRules,
    owner: Owner,
) -> list[UncertainResult]:
    """Return the uncertain results of a specialist that are worth a question.

    If models are trusted, there are none without `reading` or if the kind is unsure.
    """
    unsure = uncertain_results(clauses, searched, belief_function(expert, local), owner)
    if rules.trust == "measured":  # the answer may accept the result
        if reading is None or searched.kind_unsure:
            return []
        usual = default_threshold(expert)
        unsure = [one for one in unsure if not needs_person(one, reading, local, usual)]
    may_be = other_kinds("contract", searched.kind_unsure)
    return worth_asking(unsure, asks, rules, searched.characters, may_be)


def worth_asking(
    unsure: Sequence[UncertainResult],
    asks: TenantEscalationRules,
    rules: RiskRules,
    characters: int,
    may_be: Sequence[Kind] = (),
) -> list[UncertainResult]:
    """Return at most `MAX_QUESTIONS` results that are worth their price, the best first.

    Args:
        asks: the models that may be asked, and the value of a prevented mistake.
        rules: of the tenant, with the weights of categories.
        characters: length of the document.
        may_be: other kinds that the document may be.
    """
    price = asks.price_of_any(("contract", *may_be))
    if price is None or not unsure:
        return []
    belief = np.clip([one.belief for one in unsure], 1e-6, 1 - 1e-6)
    gains = ASSUMED_ACCURACY.gain(belief, np.array([one.subject == "clause" for one in unsure]))
    names = definitions_of({one.category for one in unsure})
    chosen: list[tuple[float, UncertainResult]] = []
    for gain, one in zip(gains.tolist(), unsure, strict=True):
        length = one.end - one.start
        sent = (
            min(characters, length + 2 * _context_width(length)) + len(names[one.category]) + length
        )
        tokens = estimated_usage(sent, length)
        worth = asks.expected_value(gain, rules.weights.get(one.category, 1.0), price, tokens)
        if worth > 0 and length <= BATCH_CHARACTERS:
            chosen.append((worth, replace(one, usd=price.of(tokens) / 1e6)))
    return [one for _, one in sorted(chosen, key=lambda pair: -pair[0])[:MAX_QUESTIONS]]


def question_blob(question: Question) -> bytes:
    """The question as stored."""
    return question.model_dump_json().encode()


def question_batches(
    asked: Sequence[UncertainResult],
    text: str,
    ref: BlobRef,
    clauses: Sequence[ExtractedClause],
    may_be: tuple[Kind, ...] = (),
    around: int = CONTEXT,
) -> Iterator[list[Question]]:
    """Yield the questions about a document in batches of one prompt, in the order of its text.

    Args:
        asked: the uncertain results; those near each other share a window.
        clauses: those of `Parties` give the names to mask.
        may_be: other kinds that the document may be; all of them must be allowed to leave.
        around: characters that are sent on each side of a passage.
    """
    names, definitions = _party_names(clauses), definitions_of({one.category for one in asked})
    batch: list[Question] = []
    questions: set[tuple[int, int, str]] = set()
    for (start, end), group in _windows(asked, text, around):
        for one in sorted(group, key=lambda doubt: doubt.category):
            wider = questions | {(start, end, one.category)}
            sent = sum(last - first for first, last in {window[:2] for window in wider})
            full = (
                len(wider) > BATCH_QUESTIONS or sent > BATCH_CHARACTERS or len(batch) > MAX_FURTHER
            )
            if batch and full:
                yield batch
                batch, wider = [], {(start, end, one.category)}
            questions = wider
            batch.append(
                Question(
                    subject=one.subject,
                    result=one.result_id,
                    kind="contract",
                    may_be=may_be,
                    text=ref,
                    start=start,
                    end=end,
                    category=one.category,
                    definition=definitions[one.category],
                    candidates=(
                        Candidate(start=one.start, end=one.end, confidence=one.confidence),
                    ),
                    names=names,
                )
            )
    if batch:
        yield batch


def _windows(
    asked: Sequence[UncertainResult], text: str, around: int
) -> list[tuple[tuple[int, int], list[UncertainResult]]]:
    """The windows in the order of the text; overlapping ones join up to `MAX_WINDOW`."""
    found: list[tuple[tuple[int, int], list[UncertainResult]]] = []
    for one in sorted(asked, key=lambda doubt: (doubt.start, doubt.end)):
        start, end = _window(one, text, around)
        if found:
            (first, last), group = found[-1]
            if start < last and max(last, end) - first <= MAX_WINDOW:
                found[-1] = ((first, max(last, end)), [*group, one])
                continue
        found.append(((start, end), [one]))
    return found


def _context_width(length: int, around: int = CONTEXT) -> int:
    """Characters that are sent on each side of a passage, if the text has as many."""
    return max(0, min(around, (BATCH_CHARACTERS - length) // 2))


def _window(one: UncertainResult, text: str, around: int) -> tuple[int, int]:
    """The passage with its context, in whole words."""
    width = _context_width(one.end - one.start, around)
    start, end = max(0, one.start - width), min(len(text), one.end + width)
    while 0 < start < one.start and not text[start - 1].isspace():
        start += 1
    while one.end < end < len(text) and not text[end].isspace():
        end -= 1
    return start, end


def _party_names(clauses: Sequence[ExtractedClause]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for clause in clauses:
        value: Mapping[str, object] | None = clause.value if clause.category == "Parties" else None
        if value and isinstance(name := value["value"], str):
            found[name[:MAX_NAMES]] = None
    return tuple(found)[:MAX_NAMES]


def mark_escalated(
    clauses: Sequence[ExtractedClause], asked: Sequence[UncertainResult]
) -> Iterator[ExtractedClause]:
    """Set the route of the clauses that are asked about."""
    ids = {one.result_id for one in asked}
    for clause in clauses:
        yield replace(clause, route="escalate") if clause.id in ids else clause


def escalation_request(event: DocumentRead, batch: Sequence[Question]) -> EscalationRequested:
    """The event that asks all questions of a batch."""
    first, *further = [(one.result, ref_of(question_blob(one), OWNER)) for one in batch]
    return EscalationRequested(
        tenant=event.tenant,
        document_id=event.document_id,
        actor=event.actor,
        stage="extraction",
        result_id=first[0],
        question=first[1],
        further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in further),
        attempt=event.attempt,
    )
