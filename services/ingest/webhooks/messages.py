"""What customers are told, and how it follows from the suite's own events.

Messages are thin: ids, a result in a word or a number, and links to the whole, which needs a key.
They hold no text of a document; reasons may quote it, and are taken out when it is deleted.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.ingest.domain import Document, Outcome, new_end
from services.ingest.webhooks.domain import TEST, Message, Webhook, message_id
from shared.events import (
    AdapterVersion,
    ClausesExtracted,
    DocumentDeleted,
    FindingsFound,
    Kind,
    ReviewDecided,
    Stage,
    Verdict,
)

REASON_CHARACTERS = 500
FAILED_PAGES = 100


class FailedPageData(BaseModel):
    """A page that could not be read."""

    page: int = Field(ge=1)
    code: str


class DocumentLinks(BaseModel):
    """Where there is more: absolute if the operator has set a public address, else a path."""

    document: str


class ClausesLinks(DocumentLinks):
    """Where there is more: absolute if the operator has set a public address, else a path."""

    clauses: str


class FindingsLinks(DocumentLinks):
    """Where there is more: absolute if the operator has set a public address, else a path."""

    findings: str


class ItemLinks(DocumentLinks):
    """Where there is more: absolute if the operator has set a public address, else a path."""

    item: str


class DocumentEndedData(BaseModel):
    """A document and its outcome."""

    document_id: str
    kind: Kind
    attempt: int = Field(ge=1, description="counts new attempts at the same document")
    outcome: Outcome
    reasons: list[str] = Field(description="`code: sentence`, why it is not simply complete")
    pages: int | None = Field(description="pages in the document; null if it was not read")
    failed_pages: list[FailedPageData] = Field(
        description=f"the first {FAILED_PAGES}; the document itself has them all"
    )
    failed_page_count: int = Field(ge=0)
    links: DocumentLinks


class DocumentDeletedData(BaseModel):
    """A document that is no more."""

    document_id: str
    actor: str | None = Field(description="who deleted it")


class ClausesExtractedData(BaseModel):
    """How many clauses a contract has."""

    document_id: str
    attempt: int = Field(ge=1)
    count: int = Field(ge=0)
    adapter: str = Field(description="the specialist that read it; of several the first")
    adapter_version: str
    adapters: list[AdapterVersion] = Field(description="every specialist that read it")
    links: ClausesLinks


class FindingsFoundData(BaseModel):
    """What a report's findings amount to."""

    document_id: str
    attempt: int = Field(ge=1)
    count: int = Field(ge=0)
    flagged: bool
    risk: float = Field(ge=0, le=1)
    unreadable: int = Field(ge=0, description="filings of the report that could not be read")
    missing: str | None = Field(
        description="why none of its figures could be checked, where nothing but its sentences "
        "could be read: `flagged` and `risk` then say nothing"
    )
    links: FindingsLinks


class ReviewDecidedData(BaseModel):
    """A decision about one result; an undone one has the verdict `undo`."""

    document_id: str
    item_id: str
    decision_id: str
    stage: Stage
    result_id: str = Field(description="the clause or finding")
    verdict: Verdict
    actor: str | None = Field(description="who decided")
    links: ItemLinks


class WebhookTestData(BaseModel):
    """Nothing but the webhook itself."""

    webhook_id: str
    actor: str = Field(description="who asked for the test")


class DocumentEndedMessage(BaseModel):
    """A document has ended: complete, partial, failed or rejected."""

    type: Literal["document.ended"]
    timestamp: datetime
    data: DocumentEndedData


class DocumentDeletedMessage(BaseModel):
    """A document was deleted, and its bytes and text are removed."""

    type: Literal["document.deleted"]
    timestamp: datetime
    data: DocumentDeletedData


class ClausesExtractedMessage(BaseModel):
    """The clauses of a contract can be read."""

    type: Literal["clauses.extracted"]
    timestamp: datetime
    data: ClausesExtractedData


class FindingsFoundMessage(BaseModel):
    """The findings of a report can be read; there may be none."""

    type: Literal["findings.found"]
    timestamp: datetime
    data: FindingsFoundData


class ReviewDecidedMessage(BaseModel):
    """A person decided about one clause or finding."""

    type: Literal["review.decided"]
    timestamp: datetime
    data: ReviewDecidedData


class WebhookTestMessage(BaseModel):
    """Somebody asked whether this webhook works."""

    type: Literal["webhook.test"]
    timestamp: datetime
    data: WebhookTestData


MESSAGES: tuple[type[BaseModel], ...] = (
    DocumentEndedMessage,
    DocumentDeletedMessage,
    ClausesExtractedMessage,
    FindingsFoundMessage,
    ReviewDecidedMessage,
    WebhookTestMessage,
)
"""Everything that is ever sent."""


def document_ended(after: Document, before: Document | None = None) -> list[Message]:
    """The message that a document has ended, if it has just done so."""
    outcome = new_end(after, before)
    if outcome is None:
        return []
    progress = after.progress
    data = DocumentEndedData(
        document_id=after.id,
        kind=progress.kind,
        attempt=progress.attempt,
        outcome=outcome,
        reasons=[reason[:REASON_CHARACTERS] for reason in progress.reasons],
        pages=progress.pages,
        failed_pages=[
            FailedPageData(page=page.number, code=page.code)
            for page in progress.failed_pages[:FAILED_PAGES]
        ],
        failed_page_count=len(progress.failed_pages),
        links=DocumentLinks(document=_document(after.id)),
    )
    facts = (after.id, progress.attempt, progress.kind, outcome)
    when = after.ended or after.updated
    return [_message("document.ended", after.tenant, after.id, when, data, *facts)]


def document_deleted(event: DocumentDeleted) -> Message:
    """The message that a document is no more."""
    data = DocumentDeletedData(document_id=event.document_id, actor=event.actor)
    return _of_event("document.deleted", event, data)


def result_found(event: object) -> list[Message]:
    """The message that a specialist's results can be read, if the event says so."""
    if isinstance(event, ClausesExtracted):
        return [_of_event("clauses.extracted", event, _clauses(event))]
    if isinstance(event, FindingsFound):
        return [_of_event("findings.found", event, _findings(event))]
    return []


def review_decided(event: ReviewDecided) -> Message:
    """The message that a person decided."""
    links = ItemLinks(document=_document(event.document_id), item=f"/v1/items/{event.item_id}")
    data = ReviewDecidedData(
        document_id=event.document_id,
        item_id=event.item_id,
        decision_id=event.decision_id,
        stage=event.stage,
        result_id=event.result_id,
        verdict=event.verdict,
        actor=event.actor,
        links=links,
    )
    return _of_event("review.decided", event, data)


def webhook_test(webhook: Webhook, actor: str, now: datetime) -> Message:
    """The message that tries a webhook out; each is another one."""
    data = WebhookTestData(webhook_id=webhook.id, actor=actor)
    return _message(TEST, webhook.tenant, None, now, data, webhook.id, now.isoformat())


def body_of(message: Message, origin: str) -> bytes:
    """The bytes that are signed and sent, the same at every try.

    `origin` goes in front of links, such as `https://papers.example`; empty leaves them paths.
    """
    data = dict(message.data)
    if "links" in data:
        data["links"] = {name: origin + path for name, path in data["links"].items()}
    timestamp = message.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = {"type": message.type, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def without_words(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a message once its document is deleted: what could quote it is gone."""
    return {**data, "reasons": []} if "reasons" in data else data


def _clauses(event: ClausesExtracted) -> ClausesExtractedData:
    document = _document(event.document_id)
    return ClausesExtractedData(
        document_id=event.document_id,
        attempt=event.attempt,
        count=event.count,
        adapter=event.adapter,
        adapter_version=event.adapter_version,
        adapters=list(event.read_by),
        links=ClausesLinks(document=document, clauses=f"{document}/clauses"),
    )


def _findings(event: FindingsFound) -> FindingsFoundData:
    document = _document(event.document_id)
    return FindingsFoundData(
        document_id=event.document_id,
        attempt=event.attempt,
        count=event.count,
        flagged=event.flagged,
        risk=event.risk,
        unreadable=event.unreadable,
        missing=event.missing,
        links=FindingsLinks(document=document, findings=f"{document}/findings"),
    )


def _document(document_id: str) -> str:
    return f"/v1/documents/{document_id}"


def _of_event(
    kind: str,
    event: ClausesExtracted | FindingsFound | ReviewDecided | DocumentDeleted,
    data: BaseModel,
) -> Message:
    """A message whose id follows from the event's: heard twice, it is the same message."""
    return _message(kind, event.tenant, event.document_id, event.time, data, event.id)


def _message(
    kind: str,
    tenant: str,
    document_id: str | None,
    time: datetime,
    data: BaseModel,
    *facts: object,
) -> Message:
    return Message(
        id=message_id(tenant, kind, *facts),
        tenant=tenant,
        type=kind,
        time=time,
        data=data.model_dump(mode="json"),
        document_id=document_id,
    )
