"""Questions to a frontier model about a read document: its kind, and pages with damaged text.

A model gets text and no images, so it can tell that a text makes no words, but not what the page
says. Text of a document with an unsure kind may be sent only if policy allows it for every kind;
escalation checks that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.ingest.domain import Classification
from shared.blobs.markers import ref_of
from shared.documents import ParsedDocument
from shared.events import BlobRef, DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Question, Subject, page_result
from shared.policy.escalation_value import (
    ASSUMED_TEXT_ACCURACY,
    TenantEscalationRules,
    estimated_usage,
    other_kinds,
)

WINDOW = 4_000
"""Characters of a document's beginning, or of a page, that are sent."""
QUOTED = 300
"""Characters that an answer quotes, roughly."""
MAX_PAGES = 5
"""Pages of one document that are asked about: the first."""
UNKNOWN = 0.5
"""Assumed probability that a page flagged by the rule is damaged (not measured)."""


@dataclass(frozen=True)
class DocumentQuestion:
    """A question about a document or one of its pages."""

    result_id: str
    question: Question

    def to_bytes(self) -> bytes:
        return self.question.model_dump_json().encode()


def questions_about(
    document_id: str,
    reading: ParsedDocument,
    text: BlobRef,
    classification: Classification | None,
    kind: Kind,
    rules: TenantEscalationRules,
) -> list[DocumentQuestion]:
    """Return the questions that are worth their price: kind first, then the first damaged pages.

    Args:
        text: blob of the document's text.
        classification: predicted kind; None if the uploader gave it or the type decides.
        kind: as which the document is processed.
        rules: the tenant's rules, with the value of a prevented mistake.
    """
    unsure = classification is not None and classification.unsure
    others = other_kinds(kind, unsure)
    windows: list[tuple[str, Subject, float, int, int]] = []
    if classification is not None and unsure:
        windows.append((document_id, "kind", classification.confidence, 0, len(reading.text)))
    spans = {page.number: (page.start, page.end) for page in reading.pages}
    windows += [
        (page_result(document_id, number), "page", UNKNOWN, *spans[number])
        for number in [one for one in reading.unsound if one in spans][:MAX_PAGES]
    ]
    return [
        DocumentQuestion(
            result_id,
            Question(
                subject=subject,
                result=result_id,
                kind=kind,
                may_be=others,
                text=text,
                start=start,
                end=shown,
                category="document_kind" if subject == "kind" else "page_text",
                definition="",
            ),
        )
        for result_id, subject, belief, start, end in windows
        if start < (shown := _end(reading.text, start, end))
        and _pays(belief, shown - start, (kind, *others), rules)
    ]


def _pays(belief: float, sent: int, kinds: Sequence[Kind], rules: TenantEscalationRules) -> bool:
    price = rules.price_of_any(kinds)
    if price is None:
        return False
    # Without an answer the prediction stays, and is wrong with probability 1 - belief.
    otherwise = np.clip([1 - belief], 1e-6, 1 - 1e-6)
    (gain,) = ASSUMED_TEXT_ACCURACY.gain(otherwise, np.array([False])).tolist()
    return rules.expected_value(gain, 1.0, price, estimated_usage(sent, QUOTED)) > 0


def _end(text: str, start: int, end: int) -> int:
    limit = min(end, start + WINDOW)
    cut = limit
    while start < cut < end and not text[cut].isspace():
        cut -= 1
    return cut if cut > start else limit


def escalation_request(
    read: DocumentRead, questions: Sequence[DocumentQuestion]
) -> EscalationRequested:
    """Build the event of all questions; the blobs follow from their content."""
    first, *other_kinds = [(one.result_id, ref_of(one.to_bytes())) for one in questions]
    return EscalationRequested(
        tenant=read.tenant,
        document_id=read.document_id,
        actor=read.actor,
        stage="ingest",
        result_id=first[0],
        question=first[1],
        further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in other_kinds),
        attempt=read.attempt,
    )
