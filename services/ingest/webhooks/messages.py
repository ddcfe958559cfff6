"""Webhook messages and how they follow from events.

Messages have ids, a short result, and links that need a key. They contain no text of a document;
reasons may quote it and are removed when it is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.ingest.domain import Document, Outcome, new_end
from services.ingest.webhooks.domain import TEST, Message, Webhook, message_id
from shared.events import (
    AdapterVersion,
    ClausesExtracted,
    DocumentDeleted,
    Event,
    FindingsFound,
    Kind,
    Origin,
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
    """Links, absolute if the operator has set a public address."""

    document: str


class ClausesLinks(DocumentLinks):
    """Links, absolute if the operator has set a public address."""

    clauses: str


class FindingsLinks(DocumentLinks):
    """Links, absolute if the operator has set a public address."""

    findings: str


class ItemLinks(DocumentLinks):
    """Links, absolute if the operator has set a public address."""

    item: str


class DocumentEndedData(BaseModel):
    """A document and its outcome."""

    document_id: str
    kind: Kind
    attempt: int = Field(ge=1, description="counts attempts at the same document")
    outcome: Outcome
    reasons: list[str] = Field(description="`code: sentence`, why it is not complete")
    pages: int | None = Field(description="pages in the document; null if it was not read")
    failed_pages: list[FailedPageData] = Field(
        description=f"the first {FAILED_PAGES}; the document has all"
    )
    failed_page_count: int = Field(ge=0)
    links: DocumentLinks


class DocumentDeletedData(BaseModel):
    """A deleted document."""

    document_id: str
    actor: str | None = Field(description="who deleted it")


class ClausesExtractedData(BaseModel):
    """The number of clauses of a contract."""

    document_id: str
    attempt: int = Field(ge=1)
    count: int = Field(ge=0)
    adapter: str = Field(description="the first specialist that read it")
    adapter_version: str
    adapters: list[AdapterVersion] = Field(description="every specialist that read it")
    links: ClausesLinks


class FindingsFoundData(BaseModel):
    """The summary of a report's findings."""

    document_id: str
    attempt: int = Field(ge=1)
    count: int = Field(ge=0)
    flagged: bool
    risk: float = Field(ge=0, le=1)
    unreadable: int = Field(ge=0, description="filings of the report that could not be read")
    missing: str | None = Field(
        description="why no figures could be checked; `flagged` and `risk` have no meaning then"
    )
    links: FindingsLinks


class ReviewDecidedData(BaseModel):
    """A decision about one result; the verdict `undo` withdraws one."""

    document_id: str
    item_id: str
    decision_id: str
    stage: Stage
    result_id: str = Field(description="the clause or finding")
    verdict: Verdict
    actor: str | None = Field(description="who decided")
    origin: Origin = Field(
        "model",
        description="`person`: a person added the clause, or confirmed that a category is absent",
    )
    links: ItemLinks


class WebhookTestData(BaseModel):
    """The webhook itself."""

    webhook_id: str
    actor: str = Field(description="who asked for the test")


class DocumentEndedMessage(BaseModel):
    """A document has ended: complete, partial, failed or rejected."""

    type: Literal["document.ended"]
    timestamp: datetime
    data: DocumentEndedData


class DocumentDeletedMessage(BaseModel):
    """A document was deleted with its bytes and text."""

    type: Literal["document.deleted"]
    timestamp: datetime
    data: DocumentDeletedData


class ClausesExtractedMessage(BaseModel):
    """The clauses of a contract are available."""

    type: Literal["clauses.extracted"]
    timestamp: datetime
    data: ClausesExtractedData


class FindingsFoundMessage(BaseModel):
    """The findings of a report are available; there may be none."""

    type: Literal["findings.found"]
    timestamp: datetime
    data: FindingsFoundData


class ReviewDecidedMessage(BaseModel):
    """A person decided about one clause or finding."""

    type: Literal["review.decided"]
    timestamp: datetime
    data: ReviewDecidedData


class WebhookTestMessage(BaseModel):
    """A test, on request."""

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


def document_ended(after: Document, before: Document | None = None) -> list[Message]:
    """Return the message that a document has just ended, if it has."""
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
    """Return the message that a document was deleted."""
    return _of_event("document.deleted", event, DocumentDeletedData)


def result_found(event: object) -> list[Message]:
    """Return the message that results are available, if the event says so."""
    if isinstance(event, ClausesExtracted):
        links = {"clauses": f"{_document(event.document_id)}/clauses"}
        adapters = event.read_by
        return [
            _of_event("clauses.extracted", event, ClausesExtractedData, links, adapters=adapters)
        ]
    if isinstance(event, FindingsFound):
        links = {"findings": f"{_document(event.document_id)}/findings"}
        return [_of_event("findings.found", event, FindingsFoundData, links)]
    return []


def review_decided(event: ReviewDecided) -> Message:
    """Return the message that a person decided."""
    links = {"item": f"/v1/items/{event.item_id}"}
    return _of_event("review.decided", event, ReviewDecidedData, links)


def webhook_test(webhook: Webhook, actor: str, now: datetime) -> Message:
    """Return a test message with a new id."""
    data = WebhookTestData(webhook_id=webhook.id, actor=actor)
    return _message(TEST, webhook.tenant, None, now, data, webhook.id, now.isoformat())


def body_of(message: Message, origin: str) -> bytes:
    """Return the bytes to sign and send, the same at every try.

    `origin` precedes links, such as `https://papers.example`; empty leaves paths.
    """
    data = dict(message.data)
    if "links" in data:
        data["links"] = {name: origin + path for name, path in data["links"].items()}
    timestamp = message.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = {"type": message.type, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def without_reasons(data: dict[str, Any]) -> dict[str, Any]:
    """Remove possible quotes of a deleted document from a message."""
    return {**data, "reasons": []} if "reasons" in data else data


def _document(document_id: str) -> str:
    return f"/v1/documents/{document_id}"


def _of_event(
    kind: str,
    event: Event,
    model: type[BaseModel],
    links: Mapping[str, str] = MappingProxyType({}),
    **fields: object,
) -> Message:
    """Derive the id of the message from the event, so that a repeated event adds none."""
    all_links = {"document": _document(event.document_id), **links}
    data = model.model_validate({**dict(event), **fields, "links": all_links})
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
