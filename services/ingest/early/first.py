"""Handing on the first pages of a long contract, so that clauses are looked for in them already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

from services.ingest.domain import Document
from services.ingest.judging import Judge
from services.ingest.store import Documents, lock_blobs, remove_unused
from shared.documents import EarlyPage
from shared.events import BlobRef, DocumentBegun, DocumentIngested
from shared.storage import BlobStore, Store, UnitOfWork
from shared.storage.deletion import ref_of

PAGES = 20
SECONDS = 10.0
"""So many pages are handed on, or fewer where they take longer than this to be read."""
BETWEEN = "\n\n"


class FirstPages:
    """The first pages of one attempt, handed on once, if at least as many are still to be read.

    Args:
        judge: tells the kind where nobody said it.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        event: DocumentIngested,
        store: Store,
        blobs: BlobStore,
        judge: Judge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event = event
        self._store = store
        self._blobs = blobs
        self._judge = judge
        self._clock = clock
        self._began = clock()
        self._pages: dict[int, EarlyPage] = {}
        self._over = False

    def add(self, page: EarlyPage) -> None:
        """One more page is read, or can't be."""
        if not self._over and page.code is None and len(self._pages) < PAGES:
            self._pages[page.number] = page

    def hand_on(self, last: EarlyPage) -> None:
        """Hand them on once they are enough; `last` is the page that was read last."""
        pages = [self._pages[number] for number in sorted(self._pages)]
        late = self._clock() - self._began >= SECONDS
        if self._over or not pages or (len(pages) < PAGES and not late):
            return
        self._over = True
        if last.pages - last.number >= len(pages):
            self._send(pages)

    def _send(self, pages: Sequence[EarlyPage]) -> None:
        event = self._event
        text = BETWEEN.join(page.text for page in pages)
        ref = ref_of(text.encode())
        if not self._note(text, ref):
            return
        self._blobs.put(event.tenant, text.encode())
        lengths = (len(page.text) + len(BETWEEN) for page in pages)
        with UnitOfWork(self._store) as uow:  # one of its own: the event is not handled by it
            lock_blobs(uow.session, event.tenant)
            document = Documents(uow.session, event.tenant).get(event.document_id, for_update=True)
            if document is None or not document.awaits_reading(event.attempt):
                remove_unused(uow.session, self._blobs, event.tenant, {ref})
                return
            uow.publish(
                DocumentBegun(
                    tenant=event.tenant,
                    document_id=event.document_id,
                    actor=event.actor,
                    cause=event.id,
                    trace=event.trace,
                    kind="contract",
                    text=ref,
                    pages=tuple(page.number for page in pages),
                    starts=tuple(accumulate(lengths, initial=0))[:-1],
                    attempt=event.attempt,
                    adapters=event.adapters,
                )
            )

    def _note(self, text: str, ref: BlobRef) -> bool:
        """Remember the blob before it is written; whoever saves the reading removes it. Returns
        whether it is to be written: for a contract that still has to be read.
        """
        with self._store.write() as session:
            lock_blobs(session, self._event.tenant)  # nobody removes the same text meanwhile
            documents = Documents(session, self._event.tenant)
            document = documents.get(self._event.document_id, for_update=True)
            if document is None or not document.awaits_reading(self._event.attempt):
                return False
            if not self._is_contract(document, text):
                return False
            documents.save(replace(document, noted=tuple(dict.fromkeys((*document.noted, ref)))))
            return True

    def _is_contract(self, document: Document, text: str) -> bool:
        judged = self._judge(text, document.media_type) if document.kind_source == "type" else None
        return (judged.kind if judged else document.said_kind) == "contract"
