"""What puts a document right whose rows, blobs and events do not agree any more, see `smallprint
verify`.
"""

from __future__ import annotations

from services.ingest.commands import document_read, ingested
from services.ingest.domain import begin_again, now_utc
from services.ingest.store import Documents, remove_unused
from shared.events import BlobRef, DocumentDeleted
from shared.storage import BlobStore, Store, UnitOfWork

ACTOR = "verify"
"""Who caused what follows from a repair."""


class Mender:
    """The repairs that ingest makes, each in a transaction of its own.

    Args:
        store: ingest's database.
        blobs: ingest's blobs.
    """

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self.store = store
        self.blobs = blobs

    def anew(self, tenant: str, document_id: str) -> bool:
        """Begin a new attempt at a document, which is read anew. False if there is none."""
        with UnitOfWork(self.store) as uow:
            documents = Documents(uow.session, tenant)
            before = documents.get(document_id, for_update=True)
            if before is None:
                return False
            document = before.after(begin_again(before.progress), now_utc())
            documents.save(document)
            uow.publish(ingested(document, ACTOR))
        return True

    def announce(self, tenant: str, document_id: str) -> bool:
        """Say once more what comes next in this attempt at a document, so that whoever has yet to
        do it does, and says so. False if there is none, or nothing comes next.
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
        return True

    def forget(self, tenant: str, document_id: str) -> bool:
        """Say once more that a document is deleted. False if it lives."""
        with UnitOfWork(self.store) as uow:
            if Documents(uow.session, tenant).get(document_id, for_update=True) is not None:
                return False
            uow.publish(DocumentDeleted(tenant=tenant, document_id=document_id, actor=ACTOR))
        return True

    def remove(self, tenant: str, ref: BlobRef) -> bool:
        """Remove a blob unless a document names it, which nobody lets it do meanwhile: whoever puts
        the same bytes again looks for them after that. Returns whether it was removed.
        """
        with self.store.write() as session:
            return bool(remove_unused(session, self.blobs, tenant, {ref}))
