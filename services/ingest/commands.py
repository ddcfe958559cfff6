"""What people ask ingest to do with documents: take one in, say what it is, stop the work on it,
begin it again, delete it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from services.ingest.domain import (
    Document,
    DocumentReader,
    Guess,
    KindSource,
    asks_others,
    begin_again,
    first_progress,
    has_only_parts,
    may_begin_again,
    new_document_id,
    new_end,
    now_utc,
    require_adapters,
    said_of_cancelled,
)
from services.ingest.idempotency.store import Note, forget_answers, unnoted
from services.ingest.marking import mark_soon, mark_void, marks_of
from services.ingest.room import QueueFull, Room
from services.ingest.search.store import Passages
from services.ingest.store import (
    BlobVanished,
    Documents,
    DuplicateDocument,
    lock_blobs,
    remove_unused,
    require_blobs,
)
from services.ingest.turns import Turns
from services.ingest.webhooks.messages import document_ended
from services.ingest.webhooks.store import publish
from shared import metrics
from shared.documents import ARCHIVES, Limits, safe_name, sniff
from shared.errors import (
    Conflict,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NotFound,
    SuiteError,
    Unavailable,
    UnreadableDocument,
)
from shared.events import (
    CANCELLED,
    BlobRef,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    Kind,
)
from shared.storage import BlobStore, Store, UnitOfWork
from shared.storage.deletion import cancellation_mark, ref_of, ref_of_stream
from shared.web.auth import Actor

log = logging.getLogger(__name__)

PDF = "application/pdf"
_HEAD = 1024
SMALL = 1_000_000
"""Bytes of a document that is looked at as a whole without a turn: it takes a moment."""
_TRIES = 5

Condition = Callable[[Documents, Document], None]
"""What has to hold of a document before it is changed, looked at in the transaction that does it;
raises otherwise.
"""


def always(_documents: Documents, _document: Document) -> None:
    """No condition."""


@dataclass(frozen=True)
class Upload:
    """One file as it came: `stream` can be rewound, `size` is in bytes, `name` is only a label."""

    stream: BinaryIO
    size: int
    name: str
    kind: Kind | None = None
    password: str | None = None
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """The document of an upload; `new` if there is work to do for it, false for a known one."""

    document: Document
    new: bool


class Intake:
    """Takes documents in: checks at the door, durable bytes, then row and event in one transaction.

    Args:
        room: how many documents may be in work.
        busy: how many uploads may hold a large document as a whole in memory at the same time.
        installed: the names of the specialists that may be asked for.
    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        reader: DocumentReader,
        limits: Limits,
        room: Room,
        busy: int = 2,
        installed: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.reader = reader
        self.limits = limits
        self.room = room
        self.installed = installed
        self._memory = Turns(busy, "a whole document in memory")

    def accept(self, actor: Actor, upload: Upload, *, promised: bool = False) -> Accepted:
        """Accept one upload, or raise the UnreadableDocument or UnknownAdapter that says why not;
        QueueFull if it would be one more than may be in work, unless it was `promised` room; and
        TooManyRequests while too many wait for room in memory.

        The same bytes again are the same document; after a failure, or for other adapters, they are
        a new attempt at it.
        """
        name = safe_name(upload.name)
        try:
            self.require(upload.adapters)
            self._check_size(upload)
            media_type = self._type_of(actor, upload, name)
            if not promised:
                self._look_for_room(actor.tenant, upload)
            decrypted = self._decrypted(actor.tenant, upload, media_type)
        except SuiteError as error:
            error.document = error.document or name
            raise
        for _ in range(_TRIES):
            upload.stream.seek(0)
            original = self.blobs.put_stream(actor.tenant, upload.stream)
            readable = self.blobs.put(actor.tenant, decrypted) if decrypted else original
            draft = _draft(actor, upload, name, media_type, original, readable)
            try:
                return self._keep(draft, upload.kind, promised)
            except QueueFull as error:
                error.document = name
                with self.store.write() as session:
                    blobs = {original, readable}
                    remove_unused(session, self.blobs, actor.tenant, blobs)
                raise
            except (DuplicateDocument, BlobVanished):
                continue  # another upload or a deletion of the same bytes came between
        raise Unavailable("the same document is uploaded and deleted too often", document=name)

    def require_room(self, tenant: str) -> None:
        """Raise QueueFull if another document would be one more than may be in work."""
        with self.store.read() as session:
            self.room.require(Documents(session, tenant), more=1)

    def require(self, adapters: Sequence[str]) -> None:
        """Raise UnknownAdapter unless each of these is installed."""
        if adapters:
            require_adapters(adapters, self.installed())

    def opened(self, document: Document, password: str) -> bytes | None:
        """The bytes of a kept document, opened with a password that comes later; None if there is
        nothing to open. Raises EncryptedDocument if the password is wrong.
        """
        with self.blobs.open(document.tenant, document.original) as stream:
            size = document.original.size
            upload = Upload(stream, size, document.name, password=password)
            try:
                return self._decrypted(document.tenant, upload, document.media_type)
            except EncryptedDocument as error:
                error.document = document.id
                raise

    def _look_for_room(self, tenant: str, upload: Upload) -> None:
        """Raise QueueFull before any of its bytes is kept, unless they are known."""
        try:
            self.require_room(tenant)
        except QueueFull:
            upload.stream.seek(0)
            sha256 = ref_of_stream(upload.stream).sha256
            with self.store.read() as session:
                if not Documents(session, tenant).knows(sha256):
                    raise

    def _check_size(self, upload: Upload) -> None:
        if not upload.size:
            raise EmptyDocument("the document has no bytes")
        if upload.size > self.limits.max_bytes:
            raise DocumentTooLarge(
                f"the document has {upload.size:,} bytes: the limit is {self.limits.max_bytes:,} "
                "(setting SMALLPRINT_INGEST_MAX_BYTES)",
                most=self.limits.max_bytes,
            )

    def _type_of(self, actor: Actor, upload: Upload, name: str) -> str:
        """By content. The beginning is enough for a PDF; a text is looked at as a whole."""
        upload.stream.seek(0)
        head = upload.stream.read(_HEAD)
        if head.startswith(b"%PDF-"):
            return sniff(head, name)
        if upload.size <= SMALL:
            return sniff(head + upload.stream.read(), name)
        with self._memory.taken(actor.tenant):
            return sniff(head + upload.stream.read(), name)

    def _decrypted(self, tenant: str, upload: Upload, media_type: str) -> bytes | None:
        """The PDF opened with the password that came along; None if nothing was to open."""
        if not upload.password or media_type != PDF:
            return None
        with self._memory.taken(tenant):
            upload.stream.seek(0)
            data = upload.stream.read()
            try:
                decrypted = self.reader.decrypt(data, password=upload.password)
            except EncryptedDocument:
                raise  # the password is wrong: the uploader can try another at once
            except UnreadableDocument:
                return None  # damaged: reading may still find some pages, and says what is wrong
            return None if decrypted == data else decrypted

    def _keep(self, draft: Document, kind: Kind | None, promised: bool) -> Accepted:
        with UnitOfWork(self.store) as uow:
            lock_blobs(uow.session, draft.tenant)
            room = None if promised else self.room
            accepted = admit(uow, self.blobs, draft, kind, room=room)
        if accepted.new:
            count_end(accepted.document)
            mark_void(self.blobs, accepted.document)
        return accepted


def admit(
    uow: UnitOfWork,
    blobs: BlobStore,
    draft: Document,
    kind: Kind | None,
    parent: str | None = None,
    room: Room | None = None,
) -> Accepted:
    """Take a document in within a transaction that holds `lock_blobs`, and announce the work.

    The same bytes again are the same document; after a failure, or for other adapters, they are a
    new attempt at it.

    Args:
        kind: what the uploader says that it is.
        parent: the mail or archive that it came in.
        room: of what has to be room for one more in work; None: there is.

    Raises:
        QueueFull: there is no room; nothing was changed or removed.
        BlobVanished: its bytes were removed a moment ago, with another document.
    """
    documents = Documents(uow.session, draft.tenant)
    known = documents.of_bytes(draft.original.sha256)
    told = kind if known and known.kind_source == "type" and not _is_archive(known) else None
    if known is None:
        document = draft
    elif may_begin_again(known.progress, kind):
        document = _another_attempt(known, draft, kind)
    elif told in (None, known.progress.kind) and asks_others(known, draft.adapters):
        document = _another_attempt(known, draft, told)
    elif told is not None:
        return _told(uow, blobs, known, draft, told)
    else:
        if draft.uploaded and not known.uploaded:
            known = _by_itself(known)
            documents.save(known)
        remove_unused(uow.session, blobs, draft.tenant, {draft.readable})
        return Accepted(known, new=False)
    require_blobs(blobs, draft.tenant, {document.original, document.readable})
    if room and (known is None or known.progress.state == "ended"):
        room.require(documents, more=1)
    if known is None:
        documents.add(document)
    else:
        documents.save(document.noting(known))
        Passages(uow.session, draft.tenant).forget(document.id)
    uow.publish(ingested(document, parent=parent))
    publish(uow.session, document_ended(document))
    return Accepted(document, new=True)


def _told(
    uow: UnitOfWork, blobs: BlobStore, known: Document, draft: Document, kind: Kind
) -> Accepted:
    """A known document of which nobody had said what it is, as the uploader says now."""
    if draft.uploaded and not known.uploaded:
        known = _by_itself(known)
    known = replace(known, adapters=draft.adapters or known.adapters)
    remove_unused(uow.session, blobs, draft.tenant, {draft.readable})
    told = rekind(uow, known, kind, draft.actor)
    return Accepted(told, new=told.progress.attempt > known.progress.attempt)


def say_kind(
    store: Store,
    blobs: BlobStore,
    actor: Actor,
    document_id: str,
    kind: Kind,
    condition: Condition = always,
) -> Document:
    """Say of what kind a document is: if another, or if it was unsure, it is worked on anew. Raises
    NotFound, or Conflict for an archive, or what the condition raises.
    """
    with UnitOfWork(store) as uow:
        documents = Documents(uow.session, actor.tenant)
        before = found(documents.get(document_id, for_update=True), document_id)
        condition(documents, before)
        if before.media_type in ARCHIVES:
            raise Conflict(
                "an archive is of no kind itself: say it of the documents that lie in it",
                document=document_id,
            )
        after = rekind(uow, before, kind, actor.name)
    count_end(after, before)
    mark_void(blobs, after)
    return after


def rekind(
    uow: UnitOfWork,
    before: Document,
    kind: Kind,
    actor: str | None,
    *,
    source: KindSource = "uploader",
    guess: Guess | None = None,
) -> Document:
    """Keep what a document is by somebody's word, within a transaction that holds it. Under another
    kind what was found is void, and it is worked on anew from what was read; so it is where its
    kind becomes sure, or ceases to be, for nothing is accepted, and little asked, of one whose kind
    is unsure. After the commit the caller calls `mark_void`.

    Args:
        actor: who says so.
        source: `type` if a word is taken back.
        guess: what ingest took it for, as it is to be kept; by default without an answer to it.
    """
    guess = guess or (replace(before.guess, item=None) if before.guess else None)
    after = replace(before, kind_source=source, guess=guess)
    if (after, kind) == (before, before.progress.kind):
        return before
    settled = after.asks_kind != before.asks_kind and before.said_kind != "other"
    if kind != before.progress.kind or settled:
        after = after.of_kind(kind, now_utc())
        void = cancellation_mark(after.tenant, after.id, before.progress.attempt)
        after = replace(after, noted=(*after.noted, void))
    after = replace(after, updated=now_utc())
    Documents(uow.session, after.tenant).save(after)
    uow.publish(
        DocumentRekinded(
            tenant=after.tenant,
            document_id=after.id,
            actor=actor,
            kind=after.said_kind,
            previous=before.said_kind,
            attempt=after.progress.attempt,
        )
    )
    if after.progress.attempt > before.progress.attempt:
        uow.publish(document_read(after, actor) if after.is_read else ingested(after, actor))
        publish(uow.session, document_ended(after, before))
    return after


def reprocess(
    intake: Intake,
    actor: Actor,
    document_id: str,
    condition: Condition = always,
    password: str | None = None,
    adapters: tuple[str, ...] = (),
    note: Note[Document] = unnoted,
) -> Document:
    """Begin a new attempt at a document that has ended.

    Args:
        password: opens an encrypted PDF, and is kept nowhere.
        adapters: what is to read it now; none: what was to read it before.
        note: is told of the new attempt in the transaction that begins it.

    Raises:
        NotFound, Conflict: there is none, or it has not ended, or is not worked on.
        EncryptedDocument: the password is wrong; nothing is begun.
        UnknownAdapter: one of those that are to read it is not installed.
        QueueFull: as many documents are in work as may be.
        Exception: whatever the condition raises.
    """
    intake.require(adapters)
    readable = None
    if password:
        readable = _opened(intake, actor, document_id, condition, password, adapters)
    with UnitOfWork(intake.store) as uow:
        lock_blobs(uow.session, actor.tenant)
        documents = Documents(uow.session, actor.tenant)
        before = _to_begin_again(documents, document_id, condition)
        document = before.after(begin_again(before.progress), now_utc())
        document = replace(document, adapters=adapters or before.adapters)
        intake.require(document.adapters)
        if readable is not None:
            require_blobs(intake.blobs, actor.tenant, {readable})
            noted = tuple(ref for ref in document.noted if ref != readable)
            document = replace(document, readable=readable, noted=noted)
        documents.save(document.noting(before))
        intake.room.require(documents)
        uow.publish(ingested(document, actor.name))
        note(uow.session, document)
    return document


def _opened(
    intake: Intake,
    actor: Actor,
    document_id: str,
    condition: Condition,
    password: str,
    adapters: tuple[str, ...],
) -> BlobRef | None:
    """Where the bytes lie that the password has opened; None if there was nothing to open."""
    with intake.store.read() as session:
        documents = Documents(session, actor.tenant)
        known = _to_begin_again(documents, document_id, condition)
        intake.room.require(documents, more=1)
    intake.require(adapters or known.adapters)
    decrypted = intake.opened(known, password)
    if decrypted is None:
        return None
    with intake.store.write() as session:  # noted first, so that a deletion finds it
        documents = Documents(session, actor.tenant)
        known = _to_begin_again(documents, document_id, condition)
        if (opened := ref_of(decrypted)) not in known.noted:
            documents.save(replace(known, noted=(*known.noted, opened)))
    return intake.blobs.put(actor.tenant, decrypted)


def _to_begin_again(documents: Documents, document_id: str, condition: Condition) -> Document:
    document = found(documents.get(document_id, for_update=True), document_id)
    condition(documents, document)
    progress = document.progress
    if progress.state != "ended":
        raise Conflict(
            f"the document is still being worked on (state {progress.state}): wait for its end, or"
            " cancel it",
            document=document_id,
        )
    if progress.outcome == "rejected":
        raise Conflict(
            "the document is of a kind that is not worked on: say its kind if it is another "
            "(PUT /v1/documents/{id}/kind)",
            document=document_id,
        )
    return document


def cancel(
    store: Store,
    blobs: BlobStore,
    actor: Actor,
    document_id: str,
    condition: Condition = always,
) -> Document:
    """Stop the work on a document that has not ended, and on what came in it: they end as failed,
    and whatever is heard of them afterwards changes nothing. Again is as good as once.

    Raises NotFound; Conflict if all of it has ended; or what the condition raises.
    """
    stopped: list[tuple[Document, Document]] = []
    with UnitOfWork(store) as uow:
        lock_blobs(uow.session, actor.tenant)
        documents = Documents(uow.session, actor.tenant)
        document = found(documents.get(document_id, for_update=True), document_id)
        condition(documents, document)
        for one in documents.goes_with(document_id):
            before = documents.get(one, for_update=True)
            if before is None or before.progress.outcome is not None:
                continue
            after = _cancelled(before, actor)
            documents.save(after)
            if after.text is None:
                Passages(uow.session, actor.tenant).forget(one)
            uow.publish(_cancellation(after, actor))
            publish(uow.session, document_ended(after, before))
            stopped.append((after, before))
        if not stopped and document.progress.cancelled is None:
            raise Conflict(
                f"the document has ended ({document.progress.outcome}): there is nothing to stop",
                document=document_id,
            )
        document = found(documents.get(document_id), document_id)
    for after, before in stopped:
        count_end(after, before)
        mark_soon(blobs, after, after.progress.attempt)
    try:  # after the commit: until then it is worked on with them
        _drop_half_read(store, blobs, actor.tenant, stopped)
    except Unavailable as error:  # they go with the next reading of it, or with it
        extra = {"document": document_id, "reason": error.message}
        log.warning("what was read of a cancelled document is removed later", extra=extra)
    return document


def _drop_half_read(
    store: Store, blobs: BlobStore, tenant: str, stopped: Sequence[tuple[Document, Document]]
) -> None:
    """Remove what was read of documents that were stopped; each as it is now, and as it was."""
    with store.write() as session:
        lock_blobs(session, tenant)
        known = Documents(session, tenant)
        over = [pair for pair in stopped if _is_over(known.get(pair[0].id), pair[0])]
        dropped = set[BlobRef]()
        for after, before in over:
            dropped |= before.blobs.intersection(after.noted).difference(marks_of(before))
        remove_unused(session, blobs, tenant, dropped)


def _is_over(now: Document | None, then: Document) -> bool:
    """Whether a document that was stopped is so still, and not begun again or deleted since."""
    if now is None or now.progress.cancelled is None:
        return False
    return now.progress.attempt == then.progress.attempt


def delete(store: Store, actor: Actor, document_id: str, condition: Condition = always) -> None:
    """Leave a tombstone, and tell every service to forget the document. Raises NotFound, or what
    the condition raises.

    What lies in it goes too, unless it was uploaded by itself or lies in something that stays.
    """
    with UnitOfWork(store) as uow:
        lock_blobs(uow.session, actor.tenant)  # nobody links a part to it, or to another, meanwhile
        documents = Documents(uow.session, actor.tenant)
        document = found(documents.get(document_id, for_update=True), document_id)
        condition(documents, document)
        for one in documents.goes_with(document_id):
            documents.delete(one, actor.name)
            forget_answers(uow.session, actor.tenant, one)
            uow.publish(DocumentDeleted(tenant=actor.tenant, document_id=one, actor=actor.name))


def found(document: Document | None, document_id: str) -> Document:
    """The document, or NotFound: the same answer for another tenant's as for none at all."""
    if document is None:
        raise NotFound(f"there is no document {document_id}", document=document_id)
    return document


def ingested(
    document: Document, actor: str | None = None, parent: str | None = None
) -> DocumentIngested:
    """The event that begins an attempt."""
    return DocumentIngested(
        tenant=document.tenant,
        document_id=document.id,
        actor=actor or document.actor,
        name=document.name,
        media_type=document.media_type,
        kind=document.said_kind,
        original=document.readable,
        attempt=document.progress.attempt,
        adapters=document.adapters,
        parent=parent,
    )


def document_read(
    document: Document, actor: str | None = None, escalated: tuple[str, ...] = ()
) -> DocumentRead:
    """The event that a document which was read is ready for the specialist of its kind; what is
    `escalated` a frontier model is asked about.
    """
    progress = document.progress
    assert document.text is not None
    assert document.layout is not None
    return DocumentRead(
        tenant=document.tenant,
        document_id=document.id,
        actor=actor or document.actor,
        name=document.name,
        media_type=document.media_type,
        kind=document.said_kind,
        original=document.readable,
        text=document.text,
        layout=document.layout,
        pages=progress.pages or 0,
        failed_pages=tuple(page.number for page in progress.failed_pages),
        attempt=progress.attempt,
        kind_confidence=document.kind_confidence,
        kind_unsure=document.asks_kind,
        escalated=escalated,
        adapters=document.adapters,
    )


def count_end(after: Document, before: Document | None = None) -> None:
    """Count an end, once; a success that supersedes a failure is another end."""
    outcome = new_end(after, before)
    if outcome is not None:
        metrics.documents_total.labels(outcome, after.progress.kind).inc()


def _cancelled(document: Document, actor: Actor) -> Document:
    """The document without work; what is read stays, what is half read goes."""
    progress = replace(document.progress, cancelled=actor.name)
    mark = cancellation_mark(document.tenant, document.id, progress.attempt)
    after = replace(document.after(progress, now_utc()), noted=(mark,))
    if progress.pages is None:
        after = replace(after, text=None, layout=None)
    return after.noting(document)


def _cancellation(document: Document, actor: Actor) -> DocumentFailed:
    """The event by which everybody hears of it."""
    return DocumentFailed(
        tenant=document.tenant,
        document_id=document.id,
        actor=actor.name,
        stage="ingest",
        code=CANCELLED,
        reason=said_of_cancelled(actor.name),
        attempt=document.progress.attempt,
    )


def _draft(
    actor: Actor,
    upload: Upload,
    name: str,
    media_type: str,
    original: BlobRef,
    readable: BlobRef,
) -> Document:
    now = now_utc()
    draft = Document(
        id=new_document_id(),
        tenant=actor.tenant,
        name=name,
        media_type=media_type,
        original=original,
        readable=readable,
        actor=actor.name,
        kind_source="uploader" if upload.kind else "type",
        progress=first_progress(media_type, upload.kind),
        created=now,
        updated=now,
        adapters=upload.adapters,
    )
    return draft.after(draft.progress, now)


def _is_archive(document: Document) -> bool:
    return document.media_type in ARCHIVES


def _another_attempt(known: Document, draft: Document, kind: Kind | None) -> Document:
    """The known document with what came along now: a kind, adapters, or a password that opened
    it.
    """
    opened = draft.readable != draft.original
    again = replace(
        known,
        readable=draft.readable if opened else known.readable,
        kind_source=draft.kind_source if kind else known.kind_source,
        actor=draft.actor,
        adapters=draft.adapters,
        text=None,
        layout=None,
        warnings=(),
    )
    if draft.uploaded:
        again = _by_itself(again)
    progress = begin_again(known.progress, kind)
    only_parts = has_only_parts(again.media_type, progress.kind, again.kind_source)
    return again.after(replace(progress, only_parts=only_parts), draft.updated)


def _by_itself(document: Document) -> Document:
    """Somebody sent it by itself, whatever it came in before."""
    return replace(document, uploaded=True, depth=0, root=None)
