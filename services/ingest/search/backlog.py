"""The loop that indexes what was read before there was an index."""

from __future__ import annotations

import logging
import threading

from services.ingest.domain import Document
from services.ingest.search.passages import passages
from services.ingest.search.store import Passages, first_unindexed
from services.ingest.store import Documents
from shared.documents import Reading
from shared.errors import SuiteError, Unavailable
from shared.runtime.rounds import Rounds
from shared.storage import BlobStore, Store

log = logging.getLogger(__name__)


class Backlog(Rounds):
    """Indexes the documents that an upgrade left, one a transaction, until none is left.

    The clauses of such a document are indexed when it is worked on again.
    """

    name = "index"

    def __init__(self, store: Store, blobs: BlobStore, interval: float = 600.0) -> None:
        super().__init__(interval)
        self.store = store
        self.blobs = blobs

    def work(self, stop: threading.Event) -> None:
        """See Rounds."""
        done = 0
        while not stop.is_set() and self.once():
            self.pulse.beat()
            done += 1
        if done:
            log.info("indexed for search", extra={"documents": done})

    def once(self) -> bool:
        """Index one document. Returns whether there was one."""
        with self.store.read() as session:
            next_one = first_unindexed(session)
            if next_one is None:
                return False
            tenant, document_id = next_one
            document = Documents(session, tenant).get(document_id)
        reading = self._reading(document) if document else None
        found = passages(reading) if reading else []
        with self.store.write() as session:
            index = Passages(session, tenant)
            now = Documents(session, tenant).get(document_id, for_update=True)
            if not index.waits(document_id):
                return True  # it was read anew, or deleted, meanwhile
            if document is None or reading is None or now is None or now.text != document.text:
                index.settle(document_id)
            else:
                index.keep_text(document_id, found)
        return True

    def _reading(self, document: Document) -> Reading | None:
        """Its text and pages; None if it has none, or they are damaged.

        Raises:
            Unavailable: the disk is away, so that it has to be tried again.
        """
        if document.text is None or document.layout is None or document.progress.pages is None:
            return None
        try:
            text = self.blobs.get(document.tenant, document.text).decode()
            layout = self.blobs.get(document.tenant, document.layout)
            return Reading.from_bytes(layout, text, places=False)
        except Unavailable:
            raise
        except SuiteError as error:
            extra = {"document": document.id, "code": error.code, "reason": error.message}
            log.warning("it can't be searched", extra=extra)
            return None
