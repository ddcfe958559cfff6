"""Marks of attempts that count no more, for whoever has a long queue before it: it neither works on
such an attempt nor asks a model of others about it.

Whoever ends an attempt marks it right after the commit, for then it is void at once. Where that
fails, because the blob store or the process is away, the mark follows by ingest's own event of it,
which is kept with what was committed and comes until it is heard.
"""

from __future__ import annotations

import logging

from services.ingest.domain import Document
from services.ingest.store import Documents
from shared.errors import Unavailable
from shared.events import BlobRef
from shared.storage import BlobStore, Store
from shared.storage.deletion import cancellation_mark, mark_cancelled

log = logging.getLogger(__name__)


def mark_soon(blobs: BlobStore, document: Document, attempt: int) -> None:
    """Mark an attempt whose end is committed and announced: now, or where the blob store is away,
    by the event.
    """
    try:
        mark_cancelled(blobs, document.tenant, document.id, attempt)
    except Unavailable as error:
        extra = {"document": document.id, "attempt": attempt, "reason": error.message}
        log.warning("it is marked later that an attempt counts no more", extra=extra)


def mark_void(blobs: BlobStore, document: Document) -> None:
    """The same for the attempt before, if that was under another kind."""
    before = document.progress.attempt - 1
    if _is_noted(document, before):
        mark_soon(blobs, document, before)


def mark_heard(store: Store, blobs: BlobStore, tenant: str, document_id: str, attempt: int) -> None:
    """Mark an attempt that an event tells the end of, if its document is there still and has noted
    the mark; again is as good as once. Raises Unavailable.
    """
    with store.read() as session:
        document = Documents(session, tenant).get(document_id)
    if document is not None and _is_noted(document, attempt):
        mark_cancelled(blobs, tenant, document_id, attempt)


def marks_of(document: Document) -> tuple[BlobRef, ...]:
    """Those that go with a document: they stay for as long as it does, whatever becomes of its next
    attempts, for what was asked in the old ones may wait longer.
    """
    attempts = range(1, document.progress.attempt + 1)
    marks = {cancellation_mark(document.tenant, document.id, one) for one in attempts}
    return tuple(ref for ref in document.noted if ref in marks)


def _is_noted(document: Document, attempt: int) -> bool:
    """Whether the document has it among what goes with it."""
    return cancellation_mark(document.tenant, document.id, attempt) in document.noted
