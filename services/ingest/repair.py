"""Repairs for documents whose rows, blobs and events disagree, see `smallprint verify`."""

from __future__ import annotations

from services.ingest.commands import assigned, document_read, ingested
from services.ingest.domain import Document, next_attempt, now_utc
from services.ingest.store import Documents, remove_unused
from shared.blobs import BlobStore
from shared.events import BlobRef, DocumentDeleted
from shared.messaging import UnitOfWork
from shared.storage import Store

ACTOR = "verify"
"""The actor of events that follow from a repair."""


class Repairer:
    """The repairs that ingest makes, each in its own transaction."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self.store = store
        self.blobs = blobs

    def read_again(self, tenant: str, document_id: str) -> bool:
        """Start a new attempt at a document. Returns False if there is none."""
        with UnitOfWork(self.store) as uow:
            documents = Documents(uow.session, tenant)
            before = documents.get(document_id, for_update=True)
            if before is None:
                return False
            document = before.after(next_attempt(before.progress), now_utc())
            documents.save(document)
            uow.publish(ingested(document, ACTOR))
            _announce_assignee(document, uow)
        return True

    def announce(self, tenant: str, document_id: str) -> bool:
        """Announce the next step of this attempt again.

        Returns False if there is no such document or no next step.
        """
        with UnitOfWork(self.store) as uow:
            document = Documents(uow.session, tenant).get(document_id, for_update=True)
            if document is None or document.progress.cancelled is not None:
                return False
            if document.is_read:
                uow.publish(document_read(document, ACTOR))
            elif document.awaits_reading(document.progress.attempt):
                uow.publish(ingested(document, ACTOR))
            else:
                return False
            _announce_assignee(document, uow)
        return True

    def forget(self, tenant: str, document_id: str) -> bool:
        """Announce a deletion again. Returns False if the document is not deleted."""
        with UnitOfWork(self.store) as uow:
            if Documents(uow.session, tenant).get(document_id, for_update=True) is not None:
                return False
            uow.publish(DocumentDeleted(tenant=tenant, document_id=document_id, actor=ACTOR))
        return True

    def remove(self, tenant: str, ref: BlobRef) -> bool:
        """Remove a blob unless a document uses it. Returns whether it was removed.

        It holds the lock of the tenant's blobs, so that no document can start to use it meanwhile.
        """
        with self.store.write() as session:
            return bool(remove_unused(session, self.blobs, tenant, {ref}))


def _announce_assignee(document: Document, uow: UnitOfWork) -> None:
    """Announce the assignee with the next step: review may have lost it, too."""
    if document.assignee is not None:
        uow.publish(assigned(document, ACTOR))
