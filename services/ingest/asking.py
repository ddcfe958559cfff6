"""What is asked of a frontier model about a document that was read: of what kind it is, where that
is unsure, and whether pages are sound whose text seems to be none.

A model sees text alone, and no picture of a page: so it can say that letters make no words, and not
what stands there. Of a document whose kind is unsure words leave the house only where words of
every kind may, whoever asks: the door sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.ingest.domain import Guess
from shared.asking import ASSUMED_OF_TEXT, AskRules, Tokens, others_than
from shared.documents import Reading
from shared.events import BlobRef, DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Question, Subject, page_result
from shared.storage.deletion import ref_of

WINDOW = 4_000
"""Characters of a document's beginning, or of a page, that are sent."""
QUOTED = 300
"""Characters that an answer quotes, about."""
MOST_PAGES = 5
"""Pages of one document that are asked about: the first."""
UNKNOWN = 0.5
"""How likely a page is unsound that a rule calls so: nobody has counted."""


@dataclass(frozen=True)
class Asked:
    """A question about a document or a page of it."""

    result_id: str
    question: Question

    def to_bytes(self) -> bytes:
        """The question as it lies in the blob store."""
        return self.question.model_dump_json().encode()


def questions(
    document_id: str,
    reading: Reading,
    text: BlobRef,
    guess: Guess | None,
    kind: Kind,
    asks: AskRules,
) -> list[Asked]:
    """Return what is worth its price: of the kind, and of the first pages that seem unsound.

    Args:
        document_id: whose reading it is.
        reading: of it.
        text: where its text lies.
        guess: what it is taken for by its text; None where somebody said it, or its type does.
        kind: that it is worked on as.
        asks: who may be asked, and what a prevented mistake is worth.
    """
    unsure = guess is not None and guess.unsure
    others = others_than(kind, unsure)
    windows: list[tuple[str, Subject, float, int, int]] = []
    if guess is not None and unsure:
        windows.append((document_id, "kind", guess.confidence, 0, len(reading.text)))
    spans = {page.number: (page.start, page.end) for page in reading.pages}
    windows += [
        (page_result(document_id, number), "page", UNKNOWN, *spans[number])
        for number in [one for one in reading.unsound if one in spans][:MOST_PAGES]
    ]
    return [
        Asked(
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
        and _pays(belief, shown - start, (kind, *others), asks)
    ]


def _pays(belief: float, sent: int, kinds: Sequence[Kind], asks: AskRules) -> bool:
    price = asks.price_of_any(kinds)
    if price is None:
        return False
    # What is not answered stays as it is, however unlikely: the mistake is that it is otherwise.
    otherwise = np.clip([1 - belief], 1e-6, 1 - 1e-6)
    (gain,) = ASSUMED_OF_TEXT.gain(otherwise, np.array([False])).tolist()
    return asks.worth(gain, 1.0, price, Tokens.about(sent, QUOTED)) > 0


def _end(text: str, start: int, end: int) -> int:
    """The end of a window, in whole words."""
    most = min(end, start + WINDOW)
    cut = most
    while start < cut < end and not text[cut].isspace():
        cut -= 1
    return cut if cut > start else most


def request_of(read: DocumentRead, asked: Sequence[Asked]) -> EscalationRequested:
    """The event that asks all of it; where the blobs lie follows from them."""
    first, *others = [(one.result_id, ref_of(one.to_bytes())) for one in asked]
    return EscalationRequested(
        tenant=read.tenant,
        document_id=read.document_id,
        actor=read.actor,
        stage="ingest",
        result_id=first[0],
        question=first[1],
        further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in others),
        attempt=read.attempt,
    )
