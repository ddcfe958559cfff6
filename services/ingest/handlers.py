"""One function for each event that ingest reacts to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from services.ingest.asking import Asked, questions, request_of
from services.ingest.commands import count_end, document_read, rekind
from services.ingest.domain import (
    Document,
    DocumentReader,
    Fact,
    Guess,
    PagesRead,
    PagesSoFar,
    PartsFound,
    advance,
    now_utc,
)
from services.ingest.early.first import FirstPages
from services.ingest.early.recording import NobodyWaits, Recorder
from services.ingest.judging import BY_TYPE, Judge
from services.ingest.marking import mark_heard, mark_void, marks_of
from services.ingest.pages import PageImages
from services.ingest.search.passages import (
    Passage,
    passages,
    passages_of_clauses,
    read_clauses,
)
from services.ingest.search.store import Passages
from services.ingest.store import Documents, lock_blobs, remove_unused, require_blobs
from services.ingest.unpacking import StoredPart, StoredParts, admit_parts, store_parts
from services.ingest.webhooks.messages import (
    document_deleted,
    document_ended,
    result_found,
    review_decided,
)
from services.ingest.webhooks.store import forget_words, publish
from shared.asking import Askers, AskRules
from shared.documents import CONTAINERS, Limits, Reading
from shared.errors import UnreadableDocument
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    FindingsFound,
    Kind,
    ReviewDecided,
)
from shared.storage import BlobStore, MissingBlob, Store, UnitOfWork
from shared.storage.deletion import is_deleted, mark_deleted, ref_of
from shared.tracing import span

log = logging.getLogger(__name__)


def read_document(
    event: DocumentIngested,
    uow: UnitOfWork,
    blobs: BlobStore,
    reader: DocumentReader,
    limits: Limits,
    judge: Judge = BY_TYPE,
    askers: Askers | None = None,
) -> None:
    """Read one document, keep its text and layout, and announce it; or say why it can't be read.

    Where nobody said what it is, its text decides. Where that is unsure, or a page seems to be read
    badly, a frontier model is asked if it pays, by `askers`; else a person alone.

    What lies in a mail or archive is accepted with it, as documents of their own.
    """
    document = _awaits_reading(uow.store, event)
    if document is None:
        return
    try:
        data = blobs.get(event.tenant, event.original)
    except MissingBlob:
        if _awaits_reading(uow.store, event):
            raise
        return  # deleted a moment ago
    try:
        first = FirstPages(event, uow.store, blobs, judge)
        early = Recorder(event, uow.store, first)
        with span("read pages") as reads:
            reading = reader.read(data, name=event.name, early=early)
            reads.set({"smallprint.pages": reading.page_count})
        with span("unpack parts"):
            parts = _stored_parts(event, uow, document, data, reader, blobs)
    except NobodyWaits:
        return  # whoever stopped it has removed what there was of it
    except UnreadableDocument as error:
        _keep_failure(event, uow, blobs, error)
        return
    if not reading.page_count:
        _keep_reading(event, uow, blobs, _Read(reading, parts), limits)
        return
    with span("cut into passages"):
        found = passages(reading)
    guess = None
    if document.kind_source == "type":
        with span("infer document-kind"):
            guess = judge(reading.text, document.media_type)
    text, layout = reading.text.encode(), reading.to_bytes()
    asks = (askers or Askers()).of(event.tenant)
    asked = _questions(document.guessed(guess), reading, ref_of(text), asks)
    written = [one.to_bytes() for one in asked]
    about = [ref_of(data) for data in written]
    if not _note_blobs(event, uow, blobs, ref_of(text), ref_of(layout), about):
        with uow.store.write() as session:
            remove_unused(session, blobs, event.tenant, _bytes_of(parts))
        return
    with span("keep reading"):
        kept = (blobs.put(event.tenant, text), blobs.put(event.tenant, layout))
        for data in written:
            blobs.put(event.tenant, data)
        read = _Read(reading, parts, *kept, found, guess, asked)
        _keep_reading(event, uow, blobs, read, limits)


def _questions(
    document: Document, reading: Reading, text: BlobRef, asks: AskRules
) -> Sequence[Asked]:
    """What is asked about a document; nothing about one that nobody works on."""
    kind = document.said_kind
    if kind == "other":
        return ()
    guess = document.guess if document.asks_kind else None
    return questions(document.id, reading, text, guess, kind, asks)


def note_progress(event: Fact, uow: UnitOfWork) -> None:
    """Project what a service says about a document onto its state. Late news changes nothing."""
    _note(event, uow, None)


def note_clauses(event: ClausesExtracted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """The same for clauses, and have them found from then on."""
    _note(event, uow, _clauses(event, uow, blobs))


def note_failure(event: DocumentFailed, uow: UnitOfWork, blobs: BlobStore) -> None:
    """The same for a failure; one that somebody wanted is marked, if it was not at once."""
    if event.cancels:
        mark_heard(uow.store, blobs, event.tenant, event.document_id, event.attempt)
    _note(event, uow, None)


def note_kind(event: DocumentRekinded, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Mark the attempt that another kind has ended, if it was not at once."""
    if event.attempt is not None:
        mark_heard(uow.store, blobs, event.tenant, event.document_id, event.attempt - 1)


def _note(event: Fact, uow: UnitOfWork, clauses: Sequence[Passage] | None) -> None:
    if isinstance(event, PagesSoFar | PagesRead | PartsFound):
        raise TypeError("this is a fact of ingest's own, not an event")
    with uow:
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or before.progress.is_cancelled(event.attempt):
            return
        after = _advanced(before, event)
        documents.save(after)
        if event.attempt == after.progress.attempt:
            if clauses is not None:
                index = Passages(uow.session, event.tenant)
                index.keep_clauses(event.document_id, event.attempt, clauses)
            publish(uow.session, [*result_found(event), *document_ended(after, before)])
    count_end(after, before)


def note_decision(event: ReviewDecided, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Tell webhooks of a decision, unless its document is deleted; one about the kind counts."""
    with uow:
        document = Documents(uow.session, event.tenant).get(event.document_id, for_update=True)
        if document is None:
            return
        publish(uow.session, [review_decided(event)])
        after = _answered(event, uow, document) if event.stage == "ingest" else None
    if after is not None:
        count_end(after, document)
        mark_void(blobs, after)


def _answered(event: ReviewDecided, uow: UnitOfWork, document: Document) -> Document | None:
    """The document after a person's answer of what kind it is, or after that is taken back; what is
    said of its pages changes nothing.

    None if it says nothing any more: somebody has said the kind since, or it was read anew.
    """
    guess = document.guess
    if guess is None or event.result_id != document.id:
        return None
    if event.verdict == "undo":
        if guess.item != event.item_id:
            return None
        asked = replace(guess, item=None)
        return rekind(uow, document, guess.kind, event.actor, source="type", guess=asked)
    if not document.asks_kind:
        return None
    kind = (event.correction or {}).get("category", guess.kind)
    if kind not in get_args(Kind):
        return None
    answered = replace(guess, item=event.item_id)
    return rekind(uow, document, cast(Kind, kind), event.actor, guess=answered)


def forget_document(
    event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore, images: PageImages
) -> None:
    """Remove bytes, text, layout and page images of a deleted document that no other one uses,
    and all that is found of it.
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
        forget_words(uow.session, event.tenant, event.document_id)
        publish(uow.session, [document_deleted(event)])


PROJECTED = (DocumentRead, FindingsFound)
"""Events that `note_progress` is for."""


def _clauses(event: ClausesExtracted, uow: UnitOfWork, blobs: BlobStore) -> list[Passage] | None:
    """None if they are nobody's: of an older attempt or a cancelled one, or of a document that is
    deleted.
    """
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
    found = read_clauses(listed, event.document_id)
    return passages_of_clauses(found, text, furniture)


@dataclass(frozen=True)
class _Read:
    """What reading one document gave, and where it is stored; an archive has no text."""

    reading: Reading
    parts: StoredParts | None
    text: BlobRef | None = None
    layout: BlobRef | None = None
    passages: Sequence[Passage] = ()
    guess: Guess | None = None
    asked: Sequence[Asked] = ()

    @property
    def blobs(self) -> set[BlobRef]:
        """Text and layout, and what is asked about them."""
        about = (ref_of(one.to_bytes()) for one in self.asked)
        return {ref for ref in (self.text, self.layout, *about) if ref is not None}


def _stored_parts(
    event: DocumentIngested,
    uow: UnitOfWork,
    document: Document,
    data: bytes,
    reader: DocumentReader,
    blobs: BlobStore,
) -> StoredParts | None:
    """The parts of a mail or archive, some of them if the work does not count any more."""
    if event.media_type not in CONTAINERS:
        return None  # nothing can lie in it

    def note(refs: Sequence[BlobRef]) -> bool:
        with uow.store.write() as session:
            documents = Documents(session, event.tenant)
            before = documents.get(event.document_id, for_update=True)
            if before is None or not _unread(before, event):
                return False
            documents.save(replace(before, noted=tuple(dict.fromkeys((*before.noted, *refs)))))
            return True

    return store_parts(document, data, reader, blobs, note)


def _awaits_reading(store: Store, event: DocumentIngested) -> Document | None:
    with store.read() as session:
        document = Documents(session, event.tenant).get(event.document_id)
        return document if _unread(document, event) else None


def _unread(document: Document | None, event: DocumentIngested) -> bool:
    """Whether this very attempt of a document that is not deleted still has to be read."""
    return document is not None and document.awaits_reading(event.attempt)


def _note_blobs(
    event: DocumentIngested,
    uow: UnitOfWork,
    blobs: BlobStore,
    text: BlobRef,
    layout: BlobRef,
    about: Sequence[BlobRef] = (),
) -> bool:
    """Remember text and layout, and questions about them, before they are written, so that a
    deletion finds them whatever happens in between. Returns whether this attempt still has to be
    read.
    """
    with uow.store.write() as session:
        lock_blobs(session, event.tenant)
        documents = Documents(session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(before, event):
            return False
        noted = tuple(dict.fromkeys((*before.noted, *about)))
        after = replace(before, text=text, layout=layout, noted=noted)
        documents.save(after)
        if before.text != text:
            Passages(session, event.tenant).forget(event.document_id)
        remove_unused(session, blobs, event.tenant, before.blobs - after.blobs)
        return True


def _keep_reading(
    event: DocumentIngested, uow: UnitOfWork, blobs: BlobStore, read: _Read, limits: Limits
) -> None:
    reading = read.reading
    admitted = None
    with uow:
        lock_blobs(uow.session, event.tenant)
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(
            before, event
        ):  # deleted, cancelled or begun anew meanwhile
            remove_unused(uow.session, blobs, event.tenant, read.blobs | _bytes_of(read.parts))
            return
        require_blobs(blobs, event.tenant, read.blobs)
        pages = PagesRead(event.attempt, reading.page_count, reading.failed)
        after = _advanced(before.guessed(read.guess), pages)
        if read.parts is not None:
            admitted = admit_parts(uow, blobs, before, read.parts, limits)
            after = _advanced(after, admitted.fact)
        marks = marks_of(before)
        asked = [one for one in read.asked if one.question.subject != "kind" or after.asks_kind]
        after = replace(
            after,
            text=read.text,
            layout=read.layout,
            warnings=reading.warnings,
            noted=tuple(dict.fromkeys((*marks, *(ref_of(one.to_bytes()) for one in asked)))),
        )
        documents.save(after)
        Passages(uow.session, event.tenant).keep_text(event.document_id, read.passages)
        unused = (before.blobs | read.blobs) - after.blobs
        remove_unused(uow.session, blobs, event.tenant, unused)
        if read.text and read.layout:
            escalated = tuple(one.result_id for one in asked)
            said = document_read(after, event.actor, escalated)
            uow.publish(said)
            if asked:
                uow.publish(request_of(said, asked))
        publish(uow.session, document_ended(after, before))
    count_end(after, before)
    for accepted in admitted.accepted if admitted else ():
        if accepted.new:
            count_end(accepted.document)
            mark_void(blobs, accepted.document)


def _bytes_of(parts: StoredParts | None) -> set[BlobRef]:
    return {part.blob for part in parts or () if isinstance(part, StoredPart)}


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
        lock_blobs(uow.session, event.tenant)
        documents = Documents(uow.session, event.tenant)
        before = documents.get(event.document_id, for_update=True)
        if before is None or not _unread(before, event):
            return
        after = replace(_advanced(before, failure), text=None, layout=None, noted=marks_of(before))
        documents.save(after)
        Passages(uow.session, event.tenant).forget(event.document_id)
        remove_unused(uow.session, blobs, event.tenant, before.blobs - after.blobs)
        uow.publish(failure)
        publish(uow.session, document_ended(after, before))
    count_end(after, before)


def _advanced(document: Document, fact: Fact) -> Document:
    """The document after one more fact; a fact that says nothing new leaves it untouched."""
    progress = advance(document.progress, fact)
    return document if progress == document.progress else document.after(progress, now_utc())
