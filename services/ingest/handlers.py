"""One function for each event that ingest reacts to."""

from __future__ import annotations

import logging
from dataclasses import replace

from services.ingest.commands import count_end
from services.ingest.domain import (
    Document,
    DocumentReader,
    Fact,
    PagesRead,
    advance,
    now_utc,
)
from services.ingest.pages import PageImages
from services.ingest.store import Documents, lock_blobs, remove_unused, require_blobs
from services.ingest.webhooks.messages import (
    document_deleted,
    document_ended,
    result_found,
    review_decided,
)
from services.ingest.webhooks.store import forget_words, publish
from shared.documents import Reading
from shared.errors import UnreadableDocument
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    FindingsFound,
    ReviewDecided,
)
from shared.storage import BlobStore, MissingBlob, Store, UnitOfWork
from shared.storage.deletion import mark_deleted, ref_of

log = logging.getLogger(__name__)


def read_document(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, reader: DocumentReader
) -> None:
    """Read one document, keep its text and layout, and announce it; or say why it can't be read."""
    if not _awaits_reading(uow.store, event):
        return
    try:
        data = blobs.get(event.tenant, event.original)
    except MissingBlob:
        if _awaits_reading(uow.store, event):
            raise
        return  # deleted a moment ago
    try:
        reading = reader.read(data, name=event.name)
    except UnreadableDocument as error:
        _keep_failure(event, uow, blobs, error)
        return
    text, layout = reading.text.encode(), reading.to_bytes()
    if not _note_blobs(event, uow, blobs, ref_of(text), ref_of(layout)):
        return
    kept = (blobs.put(event.tenant, text), blobs.put(event.tenant, layout))
    _keep_reading(event, uow, blobs, reading, *kept)


def note_progress(event: Fact, uow: UnitOfWork) -> None:
    """Project what a service says about a document onto its state. Late news changes nothing."""
    if isinstance(event, PagesRead):
        raise TypeError("this is a fact of ingest's own, not an event")
    with uow:
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None:
            return
        after = _advanced(before, event)
        documents.save(after)
        if event.attempt == after.progress.attempt:
            publish(uow.session, [*result_found(event), *document_ended(after, before)])
    count_end(after, before)


def note_decision(event: ReviewDecided, uow: UnitOfWork) -> None:
    """Tell webhooks of a decision, unless its document is deleted."""
    with uow:
        document = Documents(uow.session, event.tenant).get(event.document_id, for_update=True)
        if document is not None:
            publish(uow.session, [review_decided(event)])


def forget_document(
    event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore, images: PageImages
) -> None:
    """Remove bytes, text, layout and page images of a deleted document that no other one uses."""
    with uow:
        documents = Documents(uow.session, event.tenant)
        refs = documents.tombstone(event.document_id)
        if refs is None:
            return
        mark_deleted(blobs, event.tenant, event.document_id)
        removed = remove_unused(uow.session, blobs, event.tenant, refs)
        images.forget(event.tenant, removed)
        documents.purged(event.document_id)
        forget_words(uow.session, event.tenant, event.document_id)
        publish(uow.session, [document_deleted(event)])


PROJECTED = (DocumentRead, ClausesExtracted, FindingsFound, DocumentFailed)
"""Events that `note_progress` is for."""


def _awaits_reading(store: Store, event: DocumentIngested) -> bool:
    with store.read() as session:
        return _unread(Documents(session, event.tenant).get(event.document_id), event)


def _unread(document: Document | None, event: DocumentIngested) -> bool:
    """Whether this very attempt still has to be read: not deleted, begun anew, read or rejected."""
    if document is None:
        return False
    progress = document.progress
    current = progress.attempt == event.attempt and progress.pages is None
    return current and progress.outcome != "rejected"


def _note_blobs(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, text: BlobRef, layout: BlobRef
) -> bool:
    """Remember text and layout before they are written, so that a deletion finds them whatever
    happens in between. Returns whether this attempt still has to be read.
    """
    with uow.store.write() as session:
        lock_blobs(session, event.tenant)
        documents = Documents(session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(before, event):
            return False
        after = replace(before, text=text, layout=layout)
        documents.save(after)
        remove_unused(session, blobs, event.tenant, before.blobs - after.blobs)
        return True


def _keep_reading(
    event: DocumentIngested,
    uow: UnitOfWork,
    blobs: BlobStore,
    reading: Reading,
    text: BlobRef,
    layout: BlobRef,
) -> None:
    with uow:
        lock_blobs(uow.session, event.tenant)
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(before, event):  # deleted or begun anew while we read
            remove_unused(uow.session, blobs, event.tenant, {text, layout})
            return
        require_blobs(blobs, event.tenant, {text, layout})
        fact = PagesRead(event.attempt, reading.page_count, reading.failed)
        after = replace(
            _advanced(before, fact), text=text, layout=layout, warnings=reading.warnings
        )
        documents.save(after)
        remove_unused(uow.session, blobs, event.tenant, before.blobs - after.blobs)
        uow.publish(
            DocumentRead(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=before.name,
                media_type=before.media_type,
                kind=before.progress.kind,
                original=event.original,
                text=text,
                layout=layout,
                pages=reading.page_count,
                failed_pages=tuple(page.number for page in reading.failed),
                attempt=event.attempt,
            )
        )
        publish(uow.session, document_ended(after, before))
    count_end(after, before)


def _keep_failure(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, error: UnreadableDocument
) -> None:
    """An expected end, not a dead letter: the document says it, and everybody hears it."""
    failure = DocumentFailed(
        tenant=event.tenant,
        document_id=event.document_id,
        actor=event.actor,
        stage="ingest",
        code=error.code,
        reason=error.message,
        attempt=event.attempt,
    )
    log.info("can't be read", extra={"code": error.code, "reason": error.message})
    with uow:
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(before, event):
            return
        after = replace(_advanced(before, failure), text=None, layout=None)
        documents.save(after)
        remove_unused(uow.session, blobs, event.tenant, before.blobs - after.blobs)
        uow.publish(failure)
        publish(uow.session, document_ended(after, before))
    count_end(after, before)


def _advanced(document: Document, fact: Fact) -> Document:
    """The document after one more fact; a fact that says nothing new leaves it untouched."""
    progress = advance(document.progress, fact)
    return document if progress == document.progress else document.after(progress, now_utc())
