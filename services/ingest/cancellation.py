"""Marks of void attempts, so that services with a long queue skip them at once.

A command marks an attempt right after its commit. If that fails, because the blob store or the
process is down, ingest's own event does it later.
"""

from __future__ import annotations

import logging

from services.ingest.domain import Document
from services.ingest.store import Documents
from shared.blobs import BlobStore
from shared.blobs.markers import cancellation_mark, mark_cancelled
from shared.errors import Unavailable
from shared.events import BlobRef
from shared.storage import Store

log = logging.getLogger(__name__)


def try_mark(blobs: BlobStore, document: Document, attempt: int) -> None:
    """Mark an attempt whose end is committed; leave it to the event if the blob store is down."""
    try:
        mark_cancelled(blobs, document.tenant, document.id, attempt)
    except Unavailable as error:
        extra = {"document": document.id, "attempt": attempt, "reason": error.message}
        log.warning("blob store unavailable: the attempt will be marked as void later", extra=extra)


def mark_previous_attempt(blobs: BlobStore, document: Document) -> None:
    """Mark the previous attempt if it was made under another kind."""
    before = document.progress.attempt - 1
    if _is_noted(document, before):
        try_mark(blobs, document, before)


def mark_announced(
    store: Store, blobs: BlobStore, tenant: str, document_id: str, attempt: int
) -> None:
    """Mark an attempt that an event ended, if its document exists and has noted the mark.

    Raises Unavailable.
    """
    with store.read() as session:
        document = Documents(session, tenant).get(document_id)
    if document is not None and _is_noted(document, attempt):
        mark_cancelled(blobs, tenant, document_id, attempt)


def cancellation_marks(document: Document) -> tuple[BlobRef, ...]:
    """Return the marks of a document's attempts.

    They stay as long as the document, because questions of old attempts may wait longer than the
    attempts.
    """
    attempts = range(1, document.progress.attempt + 1)
    marks = {cancellation_mark(document.tenant, document.id, one) for one in attempts}
    return tuple(ref for ref in document.noted if ref in marks)


def _is_noted(document: Document, attempt: int) -> bool:
    return cancellation_mark(document.tenant, document.id, attempt) in document.noted
