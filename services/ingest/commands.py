"""Commands on documents: upload, set the kind, cancel, reprocess, delete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from services.ingest.cancellation import cancellation_marks, mark_previous_attempt, try_mark
from services.ingest.domain import (
    Classification,
    Document,
    DocumentReader,
    KindSource,
    cancellation_reason,
    ends_with_its_parts,
    new_document,
    new_end,
    next_attempt,
    now_utc,
    requests_other_adapters,
    require_adapters,
    starts_new_attempt,
    would_withdraw_results,
)
from services.ingest.idempotency.store import OnCreated, delete_answers, ignore_created
from services.ingest.limits import QueueFull, QueueLimit
from services.ingest.search.store import Passages
from services.ingest.store import (
    BlobVanished,
    Documents,
    DuplicateDocument,
    KeyRows,
    lock_blobs,
    remove_unused,
    require_blobs,
)
from services.ingest.webhooks.messages import document_ended
from services.ingest.webhooks.store import publish
from shared import metrics
from shared.audit import record
from shared.blobs import BlobStore
from shared.blobs.markers import cancellation_mark, ref_of, ref_of_stream
from shared.documents import ARCHIVES, Limits, safe_name, sniff
from shared.errors import (
    Conflict,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    InvalidRequest,
    SuiteError,
    Unavailable,
    UnreadableDocument,
)
from shared.events import (
    CANCELLED,
    BlobRef,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    Kind,
)
from shared.messaging import UnitOfWork
from shared.storage import Store
from shared.web.admission import ConcurrencyLimit
from shared.web.auth import Actor

log = logging.getLogger(__name__)

PDF = "application/pdf"
_HEAD = 1024
SMALL = 1_000_000
"""Bytes up to which a document is sniffed in memory without waiting for a slot."""
_TRIES = 5

Condition = Callable[[Documents, Document], None]
"""Checks a document in the transaction that changes it; raises to refuse the change."""


def always(_documents: Documents, _document: Document) -> None:
    """No condition."""


@dataclass(frozen=True)
class Upload:
    """One file of an upload: a seekable stream, its size in bytes, and its name as a label."""

    stream: BinaryIO
    size: int
    name: str
    kind: Kind | None = None
    password: str | None = None
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """The document of an upload; `new` is false if it was stored already and needs no work."""

    document: Document
    new: bool


class DocumentCommands:
    """Accepts uploads: checks, durable bytes, then row and event in one transaction.

    Args:
        opening: passwords tried at the same time.
        installed: names of the specialists that an upload may request.
    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        reader: DocumentReader,
        limits: Limits,
        limit: QueueLimit,
        opening: ConcurrencyLimit,
        installed: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.reader = reader
        self.limits = limits
        self.limit = limit
        self.installed = installed
        self._memory = ConcurrencyLimit(2, "memory for a document")
        self._opening = opening

    def accept(self, actor: Actor, upload: Upload, *, admitted: bool = False) -> Accepted:
        """Accept one upload.

        The same bytes are one document. After a failure, or for other adapters, they start a new
        attempt at it.

        Args:
            admitted: whether `QueueLimit` has admitted it before.

        Raises:
            UnreadableDocument, UnknownAdapter: the upload is refused.
            Conflict: the same bytes have results under another kind.
            QueueFull: too many documents are in progress.
            TooManyRequests: too many large documents are in memory.
        """
        name = safe_name(upload.name)
        try:
            self.require(upload.adapters)
            self._check_size(upload)
            media_type = self._type_of(actor, upload, name)
            if not admitted:
                self._check_capacity(actor.tenant, upload)
            decrypted = self._decrypted(actor.tenant, upload, media_type)
        except SuiteError as error:
            error.document = error.document or name
            raise
        for _ in range(_TRIES):
            upload.stream.seek(0)
            original = self.blobs.put_stream(actor.tenant, upload.stream)
            readable = self.blobs.put(actor.tenant, decrypted) if decrypted else original
            draft = new_document(
                actor.tenant,
                actor.name,
                name,
                media_type,
                original,
                readable,
                upload.kind,
                upload.adapters,
            )
            try:
                return self._store(actor, draft, upload.kind, admitted)
            except (QueueFull, Conflict) as error:
                error.document = name
                with self.store.write() as session:
                    blobs = {original, readable}
                    remove_unused(session, self.blobs, actor.tenant, blobs)
                raise
            except (DuplicateDocument, BlobVanished):
                continue  # another upload or a deletion of the same bytes interfered
        raise Unavailable(
            "The same document is being uploaded and deleted repeatedly. Retry in a moment.",
            document=name,
        )

    def require_capacity(self, tenant: str) -> None:
        """Raise QueueFull if another document would exceed the limit."""
        with self.store.read() as session:
            self.limit.require(Documents(session, tenant), more=1)

    def require(self, adapters: Sequence[str]) -> None:
        if adapters:
            require_adapters(adapters, self.installed())

    def decrypt(self, document: Document, password: str) -> bytes | None:
        """Decrypt a stored document; None if it is not encrypted.

        Raises EncryptedDocument if the password is wrong.
        """
        with self.blobs.open(document.tenant, document.original) as stream:
            size = document.original.size
            upload = Upload(stream, size, document.name, password=password)
            try:
                return self._decrypted(document.tenant, upload, document.media_type)
            except EncryptedDocument as error:
                error.document = document.id
                raise

    def _check_capacity(self, tenant: str, upload: Upload) -> None:
        """Raise QueueFull before any byte is stored, unless the document is known."""
        try:
            self.require_capacity(tenant)
        except QueueFull:
            upload.stream.seek(0)
            sha256 = ref_of_stream(upload.stream).sha256
            with self.store.read() as session:
                if not Documents(session, tenant).knows(sha256):
                    raise

    def _check_size(self, upload: Upload) -> None:
        if not upload.size:
            raise EmptyDocument("The document is empty.")
        if upload.size > self.limits.max_bytes:
            raise DocumentTooLarge(
                f"The document has {upload.size:,} bytes; the limit is "
                f"{self.limits.max_bytes:,} (setting SMALLPRINT_INGEST_MAX_BYTES).",
                most=self.limits.max_bytes,
            )

    def _type_of(self, actor: Actor, upload: Upload, name: str) -> str:
        """Return the media type by content; a text is read to its end, a PDF is not."""
        upload.stream.seek(0)
        head = upload.stream.read(_HEAD)
        if head.startswith(b"%PDF-"):
            return sniff(head, name)
        if upload.size <= SMALL:
            return sniff(head + upload.stream.read(), name)
        with self._memory.acquire(actor.tenant):
            return sniff(head + upload.stream.read(), name)

    def _decrypted(self, tenant: str, upload: Upload, media_type: str) -> bytes | None:
        if not upload.password or media_type != PDF:
            return None
        with self._opening.acquire(tenant):
            upload.stream.seek(0)
            data = upload.stream.read()
            try:
                decrypted = self.reader.decrypt(data, password=upload.password)
            except EncryptedDocument:
                raise  # the password is wrong: the uploader can try another at once
            except UnreadableDocument:
                return None  # damaged: reading may find some pages and reports the rest
            return None if decrypted == data else decrypted

    def _store(self, actor: Actor, draft: Document, kind: Kind | None, admitted: bool) -> Accepted:
        with UnitOfWork(self.store) as uow:
            lock_blobs(uow.session, draft.tenant)
            _keep_results(Documents(uow.session, draft.tenant), draft, kind)
            limit = None if admitted else self.limit
            accepted = admit(uow, self.blobs, draft, kind, limit=limit)
            document = accepted.document
            record(uow.session, actor, "document.upload", document.id, new=accepted.new)
        if accepted.new:
            count_end(accepted.document)
            mark_previous_attempt(self.blobs, accepted.document)
        return accepted


def _keep_results(documents: Documents, draft: Document, kind: Kind | None) -> None:
    """Raise Conflict if another kind would withdraw the results of the same bytes."""
    known = documents.get_by_hash(draft.original.sha256)
    if known is not None and would_withdraw_results(known, kind):
        raise Conflict(
            f"The same file is here already: {known.id} has results as kind "
            f"{known.progress.kind}. To replace them with those of kind {kind}, use PUT "
            f"/v1/documents/{known.id}/kind."
        )


def admit(
    uow: UnitOfWork,
    blobs: BlobStore,
    draft: Document,
    kind: Kind | None,
    parent: str | None = None,
    limit: QueueLimit | None = None,
) -> Accepted:
    """Add a document and announce its work, in a transaction that holds `lock_blobs`.

    The same bytes are one document. After a failure, or for other adapters, they start a new
    attempt at it.

    Args:
        kind: given by the uploader.
        parent: id of the mail or archive that contains it.
        limit: to check; None to skip it.

    Raises:
        QueueFull: the limit is reached; nothing was changed.
        BlobVanished: its bytes were just removed with another document.
    """
    documents = Documents(uow.session, draft.tenant)
    known = documents.get_by_hash(draft.original.sha256)
    uploader_kind = (
        kind if known and known.kind_source == "type" and known.media_type not in ARCHIVES else None
    )
    if known is None:
        document = draft
    elif starts_new_attempt(known.progress, kind):
        document = _another_attempt(known, draft, kind)
    elif uploader_kind in (None, known.progress.kind) and requests_other_adapters(
        known, draft.adapters
    ):
        document = _another_attempt(known, draft, uploader_kind)
    elif uploader_kind is not None:
        return _set_kind_of_known(uow, blobs, known, draft, uploader_kind)
    else:
        if draft.uploaded and not known.uploaded:
            known = _as_uploaded(known)
            documents.save(known)
        remove_unused(uow.session, blobs, draft.tenant, {draft.readable})
        return Accepted(known, new=False)
    require_blobs(blobs, draft.tenant, {document.original, document.readable})
    if limit and (known is None or known.progress.state == "ended"):
        limit.require(documents, more=1)
    if known is None:
        documents.add(document)
    else:
        documents.save(document.keeping_blobs_of(known))
        Passages(uow.session, draft.tenant).forget(document.id)
    uow.publish(ingested(document, parent=parent))
    publish(uow.session, document_ended(document))
    return Accepted(document, new=True)


def _set_kind_of_known(
    uow: UnitOfWork, blobs: BlobStore, known: Document, draft: Document, kind: Kind
) -> Accepted:
    """Set the kind of a known document that had none from an uploader."""
    if draft.uploaded and not known.uploaded:
        known = _as_uploaded(known)
    known = replace(known, adapters=draft.adapters or known.adapters)
    remove_unused(uow.session, blobs, draft.tenant, {draft.readable})
    uploader_kind = reclassify(uow, known, kind, draft.actor)
    return Accepted(uploader_kind, new=uploader_kind.progress.attempt > known.progress.attempt)


def set_kind(
    store: Store,
    blobs: BlobStore,
    actor: Actor,
    document_id: str,
    kind: Kind,
    condition: Condition = always,
) -> Document:
    """Set the kind of a document; a different or unsure kind starts a new attempt.

    Raises NotFound, Conflict for an archive, or the error of the condition.
    """
    with UnitOfWork(store) as uow:
        documents = Documents(uow.session, actor.tenant)
        before = documents.require(document_id, for_update=True)
        condition(documents, before)
        if before.media_type in ARCHIVES:
            raise Conflict(
                "An archive has no kind. Set the kind of the documents in it.",
                document=document_id,
            )
        after = reclassify(uow, before, kind, actor.name)
        record(uow.session, actor, "document.kind", document_id, kind=kind)
    count_end(after, before)
    mark_previous_attempt(blobs, after)
    return after


def set_tags(
    store: Store,
    actor: Actor,
    document_id: str,
    tags: Sequence[str],
    condition: Condition = always,
) -> Document:
    """Replace the tags of a document. Raises NotFound, or the error of the condition."""
    with store.write() as session:
        documents = Documents(session, actor.tenant)
        before = documents.require(document_id, for_update=True)
        condition(documents, before)
        after = replace(before, tags=tuple(dict.fromkeys(tags)), updated=now_utc())
        documents.save(after)
        record(session, actor, "document.tags", document_id, tags=list(after.tags))
    return after


def assign(
    store: Store,
    actor: Actor,
    document_id: str,
    assignee: str | None,
    condition: Condition = always,
) -> Document:
    """Set the assignee of a document, and announce it.

    Raises NotFound, InvalidRequest for an unknown name, or the error of the condition.
    """
    with UnitOfWork(store) as uow:
        documents = Documents(uow.session, actor.tenant)
        before = documents.require(document_id, for_update=True)
        condition(documents, before)
        now = now_utc()
        names = {key.name for key in KeyRows(uow.session).named(actor.tenant) if key.good(now)}
        if assignee is not None and assignee not in names:
            raise InvalidRequest(
                f"There is no user or key with the name {assignee!r}.", document=document_id
            )
        after = replace(before, assignee=assignee, updated=now)
        documents.save(after)
        uow.publish(assigned(after, actor.name))
        record(uow.session, actor, "document.assign", document_id, assignee=assignee)
    return after


def assigned(document: Document, actor: str) -> DocumentAssigned:
    """The event that announces who takes care of a document."""
    return DocumentAssigned(
        tenant=document.tenant,
        document_id=document.id,
        actor=actor,
        assignee=document.assignee,
    )


def reclassify(
    uow: UnitOfWork,
    before: Document,
    kind: Kind,
    actor: str | None,
    *,
    source: KindSource = "uploader",
    classification: Classification | None = None,
) -> Document:
    """Save the kind of a document within the caller's transaction.

    Results of another kind are void, so the document starts a new attempt from its stored text. The
    same happens when the kind becomes sure or unsure. After the commit the caller calls
    `mark_previous_attempt`.

    Args:
        source: `type` if a person withdraws an earlier answer.
        classification: to store; by default without its answer.
    """
    classification = classification or (
        replace(before.classification, item=None) if before.classification else None
    )
    after = replace(before, kind_source=source, classification=classification)
    if (after, kind) == (before, before.progress.kind):
        return before
    settled = (
        after.needs_kind_review != before.needs_kind_review and before.announced_kind != "other"
    )
    if kind != before.progress.kind or settled:
        after = after.of_kind(kind, now_utc())
        after = after.noting([cancellation_mark(after.tenant, after.id, before.progress.attempt)])
    after = replace(after, updated=now_utc())
    Documents(uow.session, after.tenant).save(after)
    uow.publish(
        DocumentReclassified(
            tenant=after.tenant,
            document_id=after.id,
            actor=actor,
            kind=after.announced_kind,
            previous=before.announced_kind,
            attempt=after.progress.attempt,
        )
    )
    if after.progress.attempt > before.progress.attempt:
        uow.publish(document_read(after, actor) if after.is_read else ingested(after, actor))
        publish(uow.session, document_ended(after, before))
    return after


def reprocess(
    intake: DocumentCommands,
    actor: Actor,
    document_id: str,
    condition: Condition = always,
    password: str | None = None,
    adapters: tuple[str, ...] = (),
    note: OnCreated[Document] = ignore_created,
) -> Document:
    """Start a new attempt at a document that has ended.

    Args:
        password: opens an encrypted PDF; it is not stored.
        adapters: read it now; empty: the same as before.
        note: is called in the transaction that starts the attempt.

    Raises:
        NotFound, Conflict: no such document, or it has not ended, or is not processed.
        EncryptedDocument: the password is wrong.
        UnknownAdapter: an adapter is not installed.
        QueueFull: too many documents are in progress.
    """
    intake.require(adapters)
    readable = None
    if password:
        readable = _store_decrypted(intake, actor, document_id, condition, password, adapters)
    with UnitOfWork(intake.store) as uow:
        lock_blobs(uow.session, actor.tenant)
        documents = Documents(uow.session, actor.tenant)
        before = _get_reprocessable(documents, document_id, condition)
        document = before.after(next_attempt(before.progress), now_utc())
        document = replace(document, adapters=adapters or before.adapters)
        intake.require(document.adapters)
        if readable is not None:
            require_blobs(intake.blobs, actor.tenant, {readable})
            noted = tuple(ref for ref in document.noted if ref != readable)
            document = replace(document, readable=readable, noted=noted)
        documents.save(document.keeping_blobs_of(before))
        intake.limit.require(documents)
        uow.publish(ingested(document, actor.name))
        record(uow.session, actor, "document.reprocess", document_id)
        note(uow.session, document)
    return document


def _store_decrypted(
    intake: DocumentCommands,
    actor: Actor,
    document_id: str,
    condition: Condition,
    password: str,
    adapters: tuple[str, ...],
) -> BlobRef | None:
    """Store the decrypted bytes and return their blob; None if nothing was encrypted."""
    with intake.store.read() as session:
        documents = Documents(session, actor.tenant)
        known = _get_reprocessable(documents, document_id, condition)
        intake.limit.require(documents, more=1)
    intake.require(adapters or known.adapters)
    decrypted = intake.decrypt(known, password)
    if decrypted is None:
        return None
    with intake.store.write() as session:  # noted first, so that a deletion finds it
        documents = Documents(session, actor.tenant)
        known = _get_reprocessable(documents, document_id, condition)
        documents.save(known.noting([ref_of(decrypted)]))
    return intake.blobs.put(actor.tenant, decrypted)


def _get_reprocessable(documents: Documents, document_id: str, condition: Condition) -> Document:
    document = documents.require(document_id, for_update=True)
    condition(documents, document)
    progress = document.progress
    if progress.state != "ended":
        raise Conflict(
            f"The document is still being processed (state {progress.state}). Wait until"
            " it has ended, or cancel it.",
            document=document_id,
        )
    if progress.outcome == "rejected":
        raise Conflict(
            "Documents of this kind are not processed. Correct the kind first (PUT "
            "/v1/documents/{id}/kind).",
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
    """Stop the work on a document and on its parts; they end as failed.

    Cancelling twice has the same effect as once. Raises NotFound; Conflict if everything has ended;
    or the error of the condition.
    """
    stopped: list[tuple[Document, Document]] = []
    with UnitOfWork(store) as uow:
        lock_blobs(uow.session, actor.tenant)
        documents = Documents(uow.session, actor.tenant)
        document = documents.require(document_id, for_update=True)
        condition(documents, document)
        for part_id in documents.deleted_with(document_id):
            before = documents.get(part_id, for_update=True)
            if before is None or before.progress.outcome is not None:
                continue
            after = _cancelled(before, actor)
            documents.save(after)
            if after.text is None:
                Passages(uow.session, actor.tenant).forget(part_id)
            uow.publish(
                DocumentFailed(
                    tenant=actor.tenant,
                    document_id=part_id,
                    actor=actor.name,
                    stage="ingest",
                    code=CANCELLED,
                    reason=cancellation_reason(actor.name),
                    attempt=after.progress.attempt,
                )
            )
            publish(uow.session, document_ended(after, before))
            record(uow.session, actor, "document.cancel", part_id)
            stopped.append((after, before))
        if not stopped and document.progress.cancelled is None:
            raise Conflict(
                f"The document has already ended ({document.progress.outcome}).",
                document=document_id,
            )
        document = documents.require(document_id)
    for after, before in stopped:
        count_end(after, before)
        try_mark(blobs, after, after.progress.attempt)
    try:  # after the commit, before which the worker still uses them
        _remove_partial_text(store, blobs, actor.tenant, stopped)
    except Unavailable as error:  # the next attempt or the deletion removes them
        extra = {"document": document_id, "reason": error.message}
        log.warning("text of a cancelled document will be removed later", extra=extra)
    return document


def _remove_partial_text(
    store: Store, blobs: BlobStore, tenant: str, stopped: Sequence[tuple[Document, Document]]
) -> None:
    """Remove the blobs of cancelled documents that were not completely read."""
    with store.write() as session:
        lock_blobs(session, tenant)
        known = Documents(session, tenant)
        dropped = set[BlobRef]()
        for after, before in stopped:
            now = known.get(after.id)
            if now is not None and now.progress.is_cancelled(after.progress.attempt):
                dropped |= before.blobs.intersection(after.noted)
                dropped -= set(cancellation_marks(before))
        remove_unused(session, blobs, tenant, dropped)


def delete(store: Store, actor: Actor, document_id: str, condition: Condition = always) -> None:
    """Leave a tombstone and announce the deletion to every service.

    Parts are deleted too, unless they were uploaded separately or are part of another document.
    Raises NotFound, or the error of the condition.
    """
    with UnitOfWork(store) as uow:
        lock_blobs(uow.session, actor.tenant)  # no part is linked meanwhile
        documents = Documents(uow.session, actor.tenant)
        condition(documents, documents.require(document_id, for_update=True))
        for part_id in documents.deleted_with(document_id):
            documents.delete(part_id, actor.name)
            delete_answers(uow.session, actor.tenant, part_id)
            record(uow.session, actor, "document.delete", part_id)
            uow.publish(DocumentDeleted(tenant=actor.tenant, document_id=part_id, actor=actor.name))


def ingested(
    document: Document, actor: str | None = None, parent: str | None = None
) -> DocumentIngested:
    """Build the event that starts an attempt."""
    return DocumentIngested(
        tenant=document.tenant,
        document_id=document.id,
        actor=actor or document.actor,
        name=document.name,
        media_type=document.media_type,
        kind=document.announced_kind,
        original=document.readable,
        attempt=document.progress.attempt,
        adapters=document.adapters,
        parent=parent,
    )


def document_read(
    document: Document, actor: str | None = None, escalated: tuple[str, ...] = ()
) -> DocumentRead:
    """Build the event that a document is ready for its specialist.

    Args:
        escalated: ids of results that a frontier model is asked about.
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
        kind=document.announced_kind,
        original=document.readable,
        text=document.text,
        layout=document.layout,
        pages=progress.pages or 0,
        failed_pages=tuple(page.number for page in progress.failed_pages),
        attempt=progress.attempt,
        kind_confidence=document.kind_confidence,
        kind_unsure=document.needs_kind_review,
        escalated=escalated,
        adapters=document.adapters,
    )


def count_end(after: Document, before: Document | None = None) -> None:
    """Count an end once; a success after a failure is another end."""
    outcome = new_end(after, before)
    if outcome is not None:
        metrics.documents_total.labels(outcome, after.progress.kind).inc()


def _cancelled(document: Document, actor: Actor) -> Document:
    """Return the cancelled document; complete text stays, incomplete text is dropped."""
    progress = replace(document.progress, cancelled=actor.name)
    mark = cancellation_mark(document.tenant, document.id, progress.attempt)
    after = replace(document.after(progress, now_utc()), noted=(mark,))
    if progress.pages is None:
        after = replace(after, text=None, layout=None)
    return after.keeping_blobs_of(document)


def _another_attempt(known: Document, draft: Document, kind: Kind | None) -> Document:
    """Return the known document with the kind, adapters or decrypted bytes of a new upload."""
    decrypt = draft.readable != draft.original
    restarted = replace(
        known,
        readable=draft.readable if decrypt else known.readable,
        kind_source=draft.kind_source if kind else known.kind_source,
        actor=draft.actor,
        adapters=draft.adapters,
        text=None,
        layout=None,
        warnings=(),
    )
    if draft.uploaded:
        restarted = _as_uploaded(restarted)
    progress = next_attempt(known.progress, kind)
    ends_with_parts = ends_with_its_parts(
        restarted.media_type, progress.kind, restarted.kind_source
    )
    return restarted.after(replace(progress, ends_with_parts=ends_with_parts), draft.updated)


def _as_uploaded(document: Document) -> Document:
    """Mark a document as uploaded separately, even if it was a part before."""
    return replace(document, uploaded=True, depth=0, root=None)
