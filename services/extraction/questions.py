"""Which results are worth a question to a frontier model, and what is asked.

Doubtful is a clause that nobody would accept without a person, and a category of which no clause is
shown though a passage comes near. A doubt is asked about if the answer is expected to prevent
mistakes that are worth more than it costs (`shared/asking.py`); what is hopeless, or sure, is not.
Whoever is not asked about waits for a person as before, and so does what has no answer in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from services.extraction.definitions import definitions_of
from services.extraction.domain import FoundClause, Searched, clause_id
from services.extraction.pipeline import Clause
from services.extraction.routing import is_recognised
from shared.asking import ASSUMED, AskRules, Tokens
from shared.documents import Reading
from shared.events import BlobRef, DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Candidate, Question
from shared.events.types import MOST_FURTHER
from shared.policy import RiskRules
from shared.storage.deletion import ref_of
from shared.watch.evidence import STEPS
from shared.watch.local import Local

OWNER = "extraction"
"""Whose the blobs are that are made here."""
AROUND = 1_000
"""Characters of a contract on each side of a passage that are sent to ask about it: of passages
that are part of a labelled clause, 99.5% are sent with all of it (`infra/evaluate_windows.py`)."""
WIDEST = 8_000
"""Characters of a window that several passages share."""
TOGETHER = 8
"""Questions that go into one prompt at the most; what looks for the same in one window is one."""
SENT = 20_000
"""Characters of all windows of one prompt."""
MOST = 40
"""Questions about one document: those that are worth most."""
NAMES = 200
"""Names that are hidden at the most."""


@dataclass(frozen=True)
class Doubt:
    """A result that is unsure; without a clause it is about a category of which none is shown."""

    result_id: str
    subject: Literal["clause", "category"]
    category: str
    start: int
    end: int
    confidence: float
    belief: float
    """How likely it is right."""
    usd: float = 0.0
    """What asking about it is expected to cost."""


def doubts(
    clauses: Sequence[FoundClause],
    looked: Searched,
    believed: Callable[[str, float], float],
    named: tuple[str, str, str],
) -> list[Doubt]:
    """Return what a specialist is unsure of in a document that it can read.

    Args:
        clauses: that it found, with their routes.
        looked: what its search says of each category.
        believed: how likely a clause of a category and a confidence is right.
        named: tenant, document and adapter, of which ids are made.
    """
    if looked.warnings:
        return []
    found = [
        Doubt(c.id, "clause", c.category, c.start, c.end, c.confidence, believed(*_of(c)))
        for c in clauses
        if c.route != "accept" and not c.sampled
    ]
    shown = {clause.category for clause in clauses}
    for line in looked.categories:
        if line.category not in shown and (near := line.nearest):
            passage = Clause(line.category, near.text, near.start, near.end, near.confidence)
            found.append(
                Doubt(
                    clause_id(*named, passage),
                    "category",
                    line.category,
                    near.start,
                    near.end,
                    near.confidence,
                    near.confidence,
                )
            )
    return found


def _of(clause: FoundClause) -> tuple[str, float]:
    return clause.category, clause.confidence


def for_people(doubt: Doubt, reading: Reading, local: Local, usual: float) -> bool:
    """Whether only a person may answer, whatever a model is trusted with: where checks speak
    against the category, or against all that is accepted, where the words were recognised, and
    where a clause is shown for a stated share of missed ones alone, not being above the confidence
    `usual`.
    """
    stopped = local.step >= STEPS or doubt.category in local.doubted
    more = doubt.subject == "clause" and doubt.confidence <= usual
    return stopped or more or is_recognised(doubt.start, doubt.end, reading)


def worth_asking(
    unsure: Sequence[Doubt],
    asks: AskRules,
    rules: RiskRules,
    characters: int,
    may_be: Sequence[Kind] = (),
) -> list[Doubt]:
    """Return the doubts that are worth their price, the worthiest first, at most `MOST`.

    Args:
        unsure: all of a document.
        asks: who may be asked, and what a prevented mistake is worth.
        rules: of the tenant, which weigh categories.
        characters: of the document.
        may_be: of which other kinds it may be.
    """
    price = asks.price_of_any(("contract", *may_be))
    if price is None or not unsure:
        return []
    belief = np.clip([one.belief for one in unsure], 1e-6, 1 - 1e-6)
    gains = ASSUMED.gain(belief, np.array([one.subject == "clause" for one in unsure]))
    names = definitions_of({one.category for one in unsure})
    chosen: list[tuple[float, Doubt]] = []
    for gain, one in zip(gains.tolist(), unsure, strict=True):
        length = one.end - one.start
        sent = min(characters, length + 2 * _room(length)) + len(names[one.category]) + length
        tokens = Tokens.about(sent, length)
        worth = asks.worth(gain, rules.weights.get(one.category, 1.0), price, tokens)
        if worth > 0 and length <= SENT:
            chosen.append((worth, replace(one, usd=price.of(tokens) / 1e6)))
    return [one for _, one in sorted(chosen, key=lambda pair: -pair[0])[:MOST]]


@dataclass(frozen=True)
class Asked:
    """A question about one result."""

    result_id: str
    question: Question

    def to_bytes(self) -> bytes:
        """The question as it lies in the blob store."""
        return self.question.model_dump_json().encode()


def batches(
    asked: Sequence[Doubt],
    text: str,
    ref: BlobRef,
    clauses: Sequence[FoundClause],
    may_be: tuple[Kind, ...] = (),
    around: int = AROUND,
) -> Iterator[list[Asked]]:
    """Yield the questions about a document, window by window in the order of its text: as many at
    once as one prompt may have. Passages that stand near each other share a window.

    Args:
        asked: the doubts.
        text: of the document, which `ref` names.
        clauses: that were found in it; those of parties say which names are to be hidden.
        may_be: of which other kinds the document may be: its words leave where all of them may.
        around: characters on each side of a passage that are sent with it.
    """
    names, definitions = _names(clauses), definitions_of({one.category for one in asked})
    together: list[Asked] = []
    questions: set[tuple[int, int, str]] = set()
    for (start, end), group in _windows(asked, text, around):
        for one in sorted(group, key=lambda doubt: doubt.category):
            wider = questions | {(start, end, one.category)}
            sent = sum(last - first for first, last in {window[:2] for window in wider})
            full = len(wider) > TOGETHER or sent > SENT or len(together) > MOST_FURTHER
            if together and full:
                yield together
                together, wider = [], {(start, end, one.category)}
            questions = wider
            question = Question(
                subject=one.subject,
                result=one.result_id,
                kind="contract",
                may_be=may_be,
                text=ref,
                start=start,
                end=end,
                category=one.category,
                definition=definitions[one.category],
                candidates=(Candidate(start=one.start, end=one.end, confidence=one.confidence),),
                names=names,
            )
            together.append(Asked(one.result_id, question))
    if together:
        yield together


def _windows(
    asked: Sequence[Doubt], text: str, around: int
) -> list[tuple[tuple[int, int], list[Doubt]]]:
    """The window of each doubt, one for those that overlap and are not too far apart."""
    found: list[tuple[tuple[int, int], list[Doubt]]] = []
    for one in sorted(asked, key=lambda doubt: (doubt.start, doubt.end)):
        start, end = _window(one, text, around)
        if found:
            (first, last), group = found[-1]
            if start < last and max(last, end) - first <= WIDEST:
                found[-1] = ((first, max(last, end)), [*group, one])
                continue
        found.append(((start, end), [one]))
    return found


def _room(length: int, around: int = AROUND) -> int:
    """Characters on each side of a passage that are sent with it, if the text has as many."""
    return max(0, min(around, (SENT - length) // 2))


def _window(one: Doubt, text: str, around: int) -> tuple[int, int]:
    """As much on both sides as there is room for, in whole words."""
    room = _room(one.end - one.start, around)
    start, end = max(0, one.start - room), min(len(text), one.end + room)
    while 0 < start < one.start and not text[start - 1].isspace():
        start += 1
    while one.end < end < len(text) and not text[end].isspace():
        end -= 1
    return start, end


def _names(clauses: Sequence[FoundClause]) -> tuple[str, ...]:
    """The parties that a document names."""
    found: dict[str, None] = {}
    for clause in clauses:
        value: Mapping[str, object] | None = clause.value if clause.category == "Parties" else None
        if value and isinstance(name := value["value"], str):
            found[name[:NAMES]] = None
    return tuple(found)[:NAMES]


def escalated(clauses: Sequence[FoundClause], asked: Sequence[Doubt]) -> Iterator[FoundClause]:
    """Say of the clauses that are asked about that they are."""
    ids = {one.result_id for one in asked}
    for clause in clauses:
        yield replace(clause, route="escalate") if clause.id in ids else clause


def request_of(event: DocumentRead, batch: Sequence[Asked]) -> EscalationRequested:
    """The event that asks all questions of a batch; where their blobs lie follows from them."""
    first, *others = [(one.result_id, ref_of(one.to_bytes(), OWNER)) for one in batch]
    return EscalationRequested(
        tenant=event.tenant,
        document_id=event.document_id,
        actor=event.actor,
        stage="extraction",
        result_id=first[0],
        question=first[1],
        further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in others),
        attempt=event.attempt,
    )
