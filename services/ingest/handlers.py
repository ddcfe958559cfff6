"""Handlers of the events that ingest receives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from services.ingest.attachments import StoredPart, StoredParts, admit_parts, store_parts
from services.ingest.cancellation import cancellation_marks, mark_announced, mark_previous_attempt
from services.ingest.classifier import BY_TYPE, DocumentClassifier
from services.ingest.commands import count_end, document_read, reclassify
from services.ingest.domain import (
    Classification,
    Document,
    DocumentReader,
    EventFact,
    Fact,
    PagesRead,
    advance,
    now_utc,
)
from services.ingest.first_pages import AttemptVoid, Recorder
from services.ingest.page_images import PageImages
from services.ingest.questions import DocumentQuestion, escalation_request, questions_about
from services.ingest.search.passages import (
    Passage,
    passages,
    passages_of_clauses,
    read_clauses,
)
from services.ingest.search.store import Passages
from services.ingest.store import Documents, lock_blobs, remove_unused, require_blobs
from services.ingest.webhooks.messages import (
    document_deleted,
    document_ended,
    result_found,
    review_decided,
)
from services.ingest.webhooks.store import publish, remove_quotes
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_deleted, mark_deleted, ref_of
from shared.documents import CONTAINERS, Limits, ParsedDocument, unpacked_size
from shared.errors import NextToNoText, UnreadableDocument
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentReclassified,
    DocumentTitle,
    FindingsFound,
    Kind,
    ReviewDecided,
)
from shared.messaging import TakesLong, UnitOfWork
from shared.policy.escalation_value import EscalationRules, TenantEscalationRules
from shared.storage import Store
from shared.titles import title_in
from shared.tracing import span

log = logging.getLogger(__name__)


def read_document(
    event: DocumentIngested,
    uow: UnitOfWork,
    blobs: BlobStore,
    reader: DocumentReader,
    limits: Limits,
    classifier: DocumentClassifier = BY_TYPE,
    escalation_rules: EscalationRules | None = None,
    large_unpacked: int | None = None,
) -> None:
    """Read a document, store its text and layout, and announce it, or record why it failed.

    Without a given kind the text decides. If the kind is unsure, or a page looks badly read, a
    frontier model is asked when that is worth its price, otherwise a person. Parts of a mail or
    archive become documents.

    Args:
        large_unpacked: unpacked bytes from which the worker of large documents reads it.

    Raises:
        TakesLong: that worker should read it, and this is another one.
    """
    document = _unread(uow.store, event)
    if document is None:
        return
    try:
        data = blobs.get(event.tenant, event.original)
    except MissingBlob:
        if _unread(uow.store, event):
            raise
        return  # just deleted
    if large_unpacked is not None and not uow.large and unpacked_size(data) >= large_unpacked:
        raise TakesLong
    try:
        recorder = Recorder(event, uow.store, blobs, classifier)
        with span("read pages") as reads:
            reading = reader.read(data, name=event.name, on_page=recorder)
            reads.set({"smallprint.pages": reading.page_count})
        with span("unpack parts"):
            parts = _stored_parts(event, uow, document, data, reader, blobs)
    except AttemptVoid:
        return  # the command that ended the attempt has cleaned up
    except UnreadableDocument as error:
        _store_failure(event, uow, blobs, error)
        return
    if not reading.page_count:
        _store_reading(event, uow, blobs, _ReadResult(reading, parts), limits)
        return
    with span("cut into passages"):
        indexed = passages(reading)
    classification, refusal = None, None
    if document.kind_source == "type":
        with span("infer document-kind"):
            try:
                classification = classifier.classify(reading, event.name)
            except NextToNoText as error:
                refusal = error
                document = document.refused(error.code, error.message)
    text, layout = reading.text.encode(), reading.to_bytes()
    asks = (escalation_rules or EscalationRules()).of(event.tenant)
    questions = _questions(
        document.with_classification(classification), reading, ref_of(text), asks
    )
    written = [one.to_bytes() for one in questions]
    about = [ref_of(data) for data in written]
    if not _note_text_blobs(event, uow, blobs, ref_of(text), ref_of(layout), about):
        with uow.store.write() as session:
            remove_unused(session, blobs, event.tenant, _bytes_of(parts))
        return
    with span("keep reading"):
        stored = (blobs.put(event.tenant, text), blobs.put(event.tenant, layout))
        for data in written:
            blobs.put(event.tenant, data)
        read = _ReadResult(reading, parts, *stored, indexed, classification, questions, refusal)
        _store_reading(event, uow, blobs, read, limits)


def _questions(
    document: Document, reading: ParsedDocument, text: BlobRef, asks: TenantEscalationRules
) -> Sequence[DocumentQuestion]:
    kind = document.announced_kind
    if kind == "other":
        return ()
    classification = document.classification if document.needs_kind_review else None
    return questions_about(document.id, reading, text, classification, kind, asks)


def note_clauses(event: ClausesExtracted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Apply extracted clauses and index them for search."""
    note_progress(event, uow, _clauses(event, uow, blobs), title_in(event, blobs))


def note_findings(event: FindingsFound, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Apply the findings of a report."""
    note_progress(event, uow, title=title_in(event, blobs))


def note_failure(event: DocumentFailed, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Apply a failure; mark a cancellation if it was not marked at once."""
    if event.cancels:
        mark_announced(uow.store, blobs, event.tenant, event.document_id, event.attempt)
    note_progress(event, uow)


def note_kind(event: DocumentReclassified, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Mark the attempt that another kind has made void, if it was not marked at once."""
    if event.attempt is not None:
        mark_announced(uow.store, blobs, event.tenant, event.document_id, event.attempt - 1)


def note_progress(
    event: EventFact,
    uow: UnitOfWork,
    clauses: Sequence[Passage] | None = None,
    title: DocumentTitle | None = None,
) -> None:
    """Apply an event of another service to the document's state, and index its clauses."""
    with uow:
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or before.progress.is_cancelled(event.attempt):
            return
        after = _advanced(before, event)
        if title and event.attempt == after.progress.attempt:
            after = replace(after, title=title)
        documents.save(after)
        if event.attempt == after.progress.attempt:
            if clauses is not None:
                index = Passages(uow.session, event.tenant)
                index.index_clauses(event.document_id, event.attempt, clauses)
            publish(uow.session, [*result_found(event), *document_ended(after, before)])
    count_end(after, before)


def note_decision(event: ReviewDecided, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Send a decision to webhooks; apply a decision about the kind."""
    with uow:
        document = Documents(uow.session, event.tenant).get(event.document_id, for_update=True)
        if document is None:
            return
        publish(uow.session, [review_decided(event)])
        after = _answered(event, uow, document) if event.stage == "ingest" else None
    if after is not None:
        count_end(after, document)
        mark_previous_attempt(blobs, after)


def _answered(event: ReviewDecided, uow: UnitOfWork, document: Document) -> Document | None:
    """Return the document after an answer about its kind, or None if that changes nothing.

    Answers about pages change nothing, nor do answers that a later kind or attempt has overtaken.
    """
    classification = document.classification
    if classification is None or event.result_id != document.id:
        return None
    if event.verdict == "undo":
        if classification.item != event.item_id:
            return None
        questions = replace(classification, item=None)
        return reclassify(
            uow, document, classification.kind, event.actor, source="type", classification=questions
        )
    if not document.needs_kind_review:
        return None
    kind = (event.correction or {}).get("category", classification.kind)
    if kind not in get_args(Kind):
        return None
    answered = replace(classification, item=event.item_id)
    return reclassify(uow, document, cast(Kind, kind), event.actor, classification=answered)


def forget_document(
    event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore, images: PageImages
) -> None:
    """Remove bytes, text, layout, page images and index of a deleted document.

    Blobs that another document uses stay.
    """
    with uow:
        documents = Documents(uow.session, event.tenant)
        refs = documents.tombstone(event.document_id)
        if refs is None:
            return
        mark_deleted(blobs, event.tenant, event.document_id)
        removed = remove_unused(uow.session, blobs, event.tenant, refs)
        images.forget(event.tenant, removed)
        Passages(uow.session, event.tenant).forget(event.document_id)
        documents.purged(event.document_id)
        remove_quotes(uow.session, event.tenant, event.document_id)
        publish(uow.session, [document_deleted(event)])


def _clauses(event: ClausesExtracted, uow: UnitOfWork, blobs: BlobStore) -> list[Passage] | None:
    """Return the clauses to index; None if the attempt is old, cancelled or deleted."""
    with uow.store.read() as session:
        document = Documents(session, event.tenant).get(event.document_id)
        furniture = Passages(session, event.tenant).furniture(event.document_id)
    if document is None or document.text is None or document.progress.attempt != event.attempt:
        return None
    if document.progress.is_cancelled(event.attempt):
        return None
    if not event.count:
        return []
    try:
        listed = blobs.get(event.tenant, event.clauses)
        text = blobs.get(event.tenant, document.text).decode()
    except MissingBlob:
        if not is_deleted(blobs, event.tenant, event.document_id):
            raise
        return None
    indexed = read_clauses(listed, event.document_id)
    return passages_of_clauses(indexed, text, furniture)


@dataclass(frozen=True)
class _ReadResult:
    """The result of reading one document, and its blobs; an archive has no text."""

    reading: ParsedDocument
    parts: StoredParts | None
    text: BlobRef | None = None
    layout: BlobRef | None = None
    passages: Sequence[Passage] = ()
    classification: Classification | None = None
    questions: Sequence[DocumentQuestion] = ()
    refusal: NextToNoText | None = None

    @property
    def blobs(self) -> set[BlobRef]:
        about = (ref_of(one.to_bytes()) for one in self.questions)
        return {ref for ref in (self.text, self.layout, *about) if ref is not None}


def _stored_parts(
    event: DocumentIngested,
    uow: UnitOfWork,
    document: Document,
    data: bytes,
    reader: DocumentReader,
    blobs: BlobStore,
) -> StoredParts | None:
    """Return the parts of a mail or archive; an incomplete list if the attempt is void."""
    if event.media_type not in CONTAINERS:
        return None  # it has no parts

    def note(refs: Sequence[BlobRef]) -> bool:
        with uow.store.write() as session:
            documents = Documents(session, event.tenant)
            before = documents.unread(event)
            if before is None:
                return False
            documents.save(before.noting(refs))
            return True

    return store_parts(document, data, reader, blobs, note)


def _unread(store: Store, event: DocumentIngested) -> Document | None:
    with store.read() as session:
        return Documents(session, event.tenant).unread(event, for_update=False)


def _note_text_blobs(
    event: DocumentIngested,
    uow: UnitOfWork,
    blobs: BlobStore,
    text: BlobRef,
    layout: BlobRef,
    about: Sequence[BlobRef] = (),
) -> bool:
    """Note blobs before they are written, so that a deletion always finds them.

    Returns whether this attempt still has to be read.
    """
    with uow.store.write() as session:
        lock_blobs(session, event.tenant)
        documents = Documents(session, event.tenant)
        before = documents.unread(event)
        if before is None:
            return False
        after = replace(before, text=text, layout=layout).noting(about)
        documents.save(after)
        if before.text != text:
            Passages(session, event.tenant).forget(event.document_id)
        remove_unused(session, blobs, event.tenant, before.blobs - after.blobs)
        return True


def _store_reading(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, read: _ReadResult, limits: Limits
) -> None:
    reading = read.reading
    admitted = None
    with uow:
        lock_blobs(uow.session, event.tenant)
        documents = Documents(uow.session, event.tenant)
        before = documents.unread(event)
        if before is None:  # for example deleted or cancelled
            remove_unused(uow.session, blobs, event.tenant, read.blobs | _bytes_of(read.parts))
            return
        require_blobs(blobs, event.tenant, read.blobs)
        pages = PagesRead(event.attempt, reading.page_count, reading.failed)
        after = _advanced(before.with_classification(read.classification), pages)
        if read.refusal and after.kind_source == "type":
            after = after.refused(read.refusal.code, read.refusal.message)
        if read.parts is not None:
            admitted = admit_parts(uow, blobs, before, read.parts, limits)
            after = _advanced(after, admitted.fact)
        marks = cancellation_marks(before)
        questions = [
            one
            for one in read.questions
            if one.question.subject != "kind" or after.needs_kind_review
        ]
        after = replace(
            after,
            text=read.text,
            layout=read.layout,
            warnings=reading.warnings,
            noted=tuple(dict.fromkeys((*marks, *(ref_of(one.to_bytes()) for one in questions)))),
        )
        documents.save(after)
        Passages(uow.session, event.tenant).index_text(event.document_id, read.passages)
        unused = (before.blobs | read.blobs) - after.blobs
        remove_unused(uow.session, blobs, event.tenant, unused)
        if read.text and read.layout:
            escalated = tuple(one.result_id for one in questions)
            read_event = document_read(after, event.actor, escalated)
            uow.publish(read_event)
            if questions:
                uow.publish(escalation_request(read_event, questions))
        publish(uow.session, document_ended(after, before))
    count_end(after, before)
    for accepted in admitted.accepted if admitted else ():
        if accepted.new:
            count_end(accepted.document)
            mark_previous_attempt(blobs, accepted.document)


def _bytes_of(parts: StoredParts | None) -> set[BlobRef]:
    return {part.blob for part in parts or () if isinstance(part, StoredPart)}


def _store_failure(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, error: UnreadableDocument
) -> None:
    """Record an expected failure and announce it; it is not a dead letter."""
    failure = DocumentFailed(
        tenant=event.tenant,
        document_id=event.document_id,
        actor=event.actor,
        stage="ingest",
        code=error.code,
        reason=error.message,
        attempt=event.attempt,
    )
    log.info("a document can't be read", extra={"code": error.code, "reason": error.message})
    with uow:
        lock_blobs(uow.session, event.tenant)
        documents = Documents(uow.session, event.tenant)
        before = documents.unread(event)
        if before is None:
            return
        after = replace(
            _advanced(before, failure), text=None, layout=None, noted=cancellation_marks(before)
        )
        documents.save(after)
        Passages(uow.session, event.tenant).forget(event.document_id)
        remove_unused(uow.session, blobs, event.tenant, before.blobs - after.blobs)
        uow.publish(failure)
        publish(uow.session, document_ended(after, before))
    count_end(after, before)


def _advanced(document: Document, fact: Fact) -> Document:
    progress = advance(document.progress, fact)
    return document if progress == document.progress else document.after(progress, now_utc())
