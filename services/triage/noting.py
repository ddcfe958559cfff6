"""The blobs of a report: noted before they are written, and removed with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.triage.domain import Report
from services.triage.store import Reports
from services.triage.store import reports as table
from shared.events import BlobRef, DocumentDeleted, DocumentRead
from shared.storage import BlobStore, UnitOfWork
from shared.storage.sharing import others_with


def note_blobs(event: DocumentRead, uow: UnitOfWork, refs: Collection[BlobRef]) -> bool:
    """Remember blobs before they are written, so that a deletion finds them whatever happens.

    Returns whether the work still counts.
    """
    with uow.store.write() as session:
        reports = Reports(session, event.tenant)
        known = reports.get(event.document_id, lock=True)
        if known is None:
            known = Report(event.tenant, event.document_id, event.kind, event.attempt)
        if not known.awaits(event.attempt):
            return False  # deleted or begun anew while we worked
        reports.save(known.noting(refs))
        return True


def others_with_blobs(event: DocumentDeleted, uow: UnitOfWork) -> Sequence[str]:
    """Documents that have a blob of this one, as an older program stored it for both."""
    with uow.store.read() as session:
        known = Reports(session, event.tenant).get(event.document_id)
        noted = {ref.sha256 for ref in known.blobs} - known.own if known else set[str]()
        return others_with(session, table, event.tenant, event.document_id, noted)


def remove(blobs: BlobStore, tenant: str, refs: Collection[BlobRef]) -> None:
    """Remove blobs that no other document has."""
    for ref in refs:
        if ref.size > len("[]"):  # the empty list is everybody's
            blobs.delete(tenant, ref)
