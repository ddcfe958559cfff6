"""Follows the events of documents, so that a service knows which work is still wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Generic

from shared.blobs import BlobStore
from shared.blobs.markers import is_cancelled, mark_deleted
from shared.events import (
    BlobRef,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentReclassified,
    Event,
    FirstPagesRead,
    Kind,
    Stage,
)
from shared.messaging import UnitOfWork
from shared.projection.store import DocumentRecords, Record

EMPTY_LIST = len("[]")
"""Bytes of an empty JSON list. Documents share this blob, so it is never removed."""


@dataclass(frozen=True)
class Projection(Generic[Record]):
    """Updates the states of a service's documents."""

    service: Stage
    """Its name, which is also the stage of its failures."""
    kind: Kind
    """The kind of documents to work on."""
    records: type[DocumentRecords[Record]]
    """Its table of documents."""
    forget_results: Callable[[Event, UnitOfWork], None]
    """Removes the stored results of the document of an event."""

    def expect(self, event: DocumentIngested, uow: UnitOfWork) -> None:
        """Note a new document, or a new attempt at a known one."""
        with uow:
            records = self.records(uow.session, event.tenant)
            record = records.lock(event.document_id)
            if record.state != "deleted" and record.attempt < event.attempt:
                records.save(record.restarted(event.kind, event.attempt))

    def still_wanted(
        self, event: DocumentRead | FirstPagesRead, uow: UnitOfWork, blobs: BlobStore
    ) -> bool:
        """Whether the work on an event still counts. Call it before opening the unit of work."""
        with uow.store.read() as session:
            record = self.records(session, event.tenant).get(event.document_id)
        if record is not None and not record.accepts(event.attempt):
            return False
        return not is_cancelled(blobs, event.tenant, event.document_id, event.attempt)

    def note_kind(self, event: DocumentRead, uow: UnitOfWork, blobs: BlobStore) -> None:
        """Store the kind of the text, if the file type suggested another."""
        if not self.still_wanted(event, uow, blobs):
            return
        with uow:
            records = self.records(uow.session, event.tenant)
            record = records.lock(event.document_id)
            if record.accepts(event.attempt) and record.kind != event.kind:
                self.forget_results(event, uow)
                records.save(record.restarted(event.kind, event.attempt))

    def note_blobs(self, event: DocumentRead, uow: UnitOfWork, refs: Collection[BlobRef]) -> bool:
        """Record blobs before they are written, so that a deletion finds them after a crash.

        Returns whether the work still counts. Commits before the unit of work is opened.
        """
        with uow.store.write() as session:
            records = self.records(session, event.tenant)
            record = records.lock(event.document_id)
            if not record.accepts(event.attempt):
                return False
            if record.attempt < event.attempt:
                record = record.restarted(event.kind, event.attempt)
            records.save(record.with_blobs(refs))
            return True

    def finished(
        self, event: DocumentRead, uow: UnitOfWork, blobs: BlobStore, refs: Collection[BlobRef]
    ) -> Record | None:
        """Return the locked record for a result, within the open unit of work.

        None if the work no longer counts. If the document was deleted, the blobs are removed.
        """
        record = self.records(uow.session, event.tenant).lock(event.document_id)
        if record.accepts(event.attempt):
            record = record.restarted(event.kind, event.attempt).with_blobs(refs)
            return replace(record, state="done")
        if record.state == "deleted":
            _remove(blobs, event.tenant, refs)
        return None

    def fail(self, event: DocumentRead, uow: UnitOfWork, code: str, reason: str) -> None:
        """End a document with an expected failure and announce it, without a dead letter."""
        with uow:
            records = self.records(uow.session, event.tenant)
            record = records.lock(event.document_id)
            if record.accepts(event.attempt):
                self.forget_results(event, uow)
                restarted = record.restarted(event.kind, event.attempt)
                records.save(restarted.failed(code, reason))
                uow.publish(self.failure(event, code, reason))

    def failure(self, event: DocumentRead, code: str, reason: str) -> DocumentFailed:
        """The event that announces a failure of this service."""
        return DocumentFailed(
            tenant=event.tenant,
            document_id=event.document_id,
            actor=event.actor,
            stage=self.service,
            code=code,
            reason=reason,
            attempt=event.attempt,
        )

    def note_failure(self, event: DocumentFailed, uow: UnitOfWork) -> None:
        """Store that a document was cancelled, or given up by ingest or this service."""
        if event.stage not in ("ingest", self.service):
            return
        with uow:
            records = self.records(uow.session, event.tenant)
            record = records.lock(event.document_id)
            if event.cancels:
                counts = record.state != "deleted" and record.attempt <= event.attempt
            else:
                counts = record.state == "waiting" and record.attempt == event.attempt
            if counts:
                self.forget_results(event, uow)
                restarted = record.restarted(record.kind, event.attempt)
                records.save(restarted.failed(event.code, event.reason))

    def withdraw(self, event: DocumentReclassified, uow: UnitOfWork) -> bool:
        """Forget the results under the previous kind, within the open unit of work.

        Returns False if the event changes nothing here.
        """
        records = self.records(uow.session, event.tenant)
        record = records.get(event.document_id, lock=True)
        if record is None or record.state == "deleted" or event.kind == event.previous:
            return False
        if event.attempt and record.attempt >= event.attempt:
            return False  # the attempt of this event has begun already
        self.forget_results(event, uow)
        restarted = record.restarted(event.kind, event.attempt or record.attempt)
        waits = event.attempt and event.kind == self.kind
        records.save(restarted if waits else replace(restarted, state="withdrawn"))
        return True

    def forget(self, event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
        """Remove results and blobs of a document, within the open unit of work."""
        records = self.records(uow.session, event.tenant)
        record = records.lock(event.document_id)
        self.forget_results(event, uow)
        records.save(replace(record.restarted("other", 1), state="deleted", blobs=()))
        mark_deleted(blobs, event.tenant, event.document_id)
        _remove(blobs, event.tenant, record.blobs)  # before the commit: a crash repeats it


def _remove(blobs: BlobStore, tenant: str, refs: Collection[BlobRef]) -> None:
    for ref in refs:
        if ref.size > EMPTY_LIST:
            blobs.delete(tenant, ref)
