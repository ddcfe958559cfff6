"""Pages of a document that are available while the others are read.

They are rows, because any process of ingest may serve them. They are deleted when their document is
read, fails, is cancelled, deleted or processed again. The first pages of a long contract are also
announced, so that its clauses are found earlier.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import accumulate

from services.ingest.classifier import DocumentClassifier
from services.ingest.domain import Document, PageProgress, PagesSoFar, advance, now_utc
from services.ingest.store import Documents, ReadPages, lock_blobs, remove_unused
from shared.blobs import BlobStore
from shared.blobs.markers import ref_of
from shared.documents import PageRead
from shared.errors import Unavailable
from shared.events import DocumentIngested, FirstPagesRead
from shared.messaging import UnitOfWork
from shared.storage import Store

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two records."""
PAGES = 20
SECONDS = 10.0
"""Pages that are announced; fewer if they take longer than SECONDS to read."""
BETWEEN = "\n\n"


class AttemptVoid(Exception):
    """The document was deleted, cancelled or processed again while it was read."""


class Recorder:
    """Records the pages of one attempt, at most once a second, and announces the first ones once.

    Raises AttemptVoid, which ends the reading, once the attempt is void.

    Args:
        classifier: predicts the kind if the uploader gave none.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        event: DocumentIngested,
        store: Store,
        blobs: BlobStore,
        classifier: DocumentClassifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event = event
        self._store = store
        self._blobs = blobs
        self._classifier = classifier
        self._clock = clock
        self._began = self._recorded = clock()
        self._pages: dict[int, PageRead] = {}
        self._first: dict[int, PageRead] = {}
        self._announced = False

    def __call__(self, page: PageRead) -> None:
        self._pages[page.number] = page
        if page.code is None and len(self._first) < PAGES:
            self._first[page.number] = page
        if self._clock() - self._recorded < EVERY or page.number == page.pages:
            return
        try:
            self._record()
            self._announce(page)
        except Unavailable as error:  # the next record includes these pages
            log.info("pages can't be recorded now", extra={"reason": error.message})
        self._recorded = self._clock()

    def _record(self) -> None:
        event, last = self._event, self._pages[max(self._pages)]
        with self._store.write() as session:
            documents = Documents(session, event.tenant)
            before = documents.unread(event)
            if before is None:
                raise AttemptVoid
            fact = PagesSoFar(event.attempt, PageProgress(last.number, last.pages))
            after = before.after(advance(before.progress, fact), now_utc())
            documents.save(after)
            ReadPages(session, event.tenant).keep(after, list(self._pages.values()))
        self._pages = {}

    def _announce(self, last: PageRead) -> None:
        """Announce the first pages once there are enough, if as many are still to be read."""
        pages = [self._first[number] for number in sorted(self._first)]
        late = self._clock() - self._began >= SECONDS
        if self._announced or not pages or (len(pages) < PAGES and not late):
            return
        self._announced = True
        text = BETWEEN.join(page.text for page in pages)
        if last.pages - last.number >= len(pages) and self._note(text):
            self._publish(text, pages)

    def _note(self, text: str) -> bool:
        """Note the blob before it is written; saving the document's text removes it.

        Returns whether to write it: only for a contract that still has to be read.
        """
        with self._store.write() as session:
            lock_blobs(session, self._event.tenant)  # the same text is not removed meanwhile
            documents = Documents(session, self._event.tenant)
            document = documents.unread(self._event)
            if document is None or not self._is_contract(document, text):
                return False
            documents.save(document.noting([ref_of(text.encode())]))
            return True

    def _is_contract(self, document: Document, text: str) -> bool:
        predicted = None
        if document.kind_source == "type":
            predicted = self._classifier(text, document.media_type)
        return (predicted.kind if predicted else document.announced_kind) == "contract"

    def _publish(self, text: str, pages: Sequence[PageRead]) -> None:
        event = self._event
        ref = self._blobs.put(event.tenant, text.encode())
        lengths = (len(page.text) + len(BETWEEN) for page in pages)
        with UnitOfWork(self._store) as uow:  # separate: it does not mark the event as handled
            lock_blobs(uow.session, event.tenant)
            if Documents(uow.session, event.tenant).unread(event) is None:
                remove_unused(uow.session, self._blobs, event.tenant, {ref})
                return
            uow.publish(
                FirstPagesRead(
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
