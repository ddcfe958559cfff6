"""Noting the pages of a document while it is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from services.ingest.domain import PagesSoFar, SoFar, advance, now_utc
from services.ingest.early.first import FirstPages
from services.ingest.early.store import EarlyPages
from services.ingest.store import Documents
from shared.documents import EarlyPage
from shared.errors import Unavailable
from shared.events import DocumentIngested
from shared.storage import Store

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds of reading between two notes; what is read in less has none."""


class NobodyWaits(Exception):
    """The document was deleted, cancelled or begun anew while it was read."""


class Recorder:
    """Notes the pages of one attempt while its document is read, at most once a second.

    Raises NobodyWaits, which ends the reading, once that attempt is not to be read any more.

    Args:
        first: hands on the first of them.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        event: DocumentIngested,
        store: Store,
        first: FirstPages,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event = event
        self._first = first
        self._store = store
        self._clock = clock
        self._noted = clock()
        self._pages: dict[int, EarlyPage] = {}

    def __call__(self, page: EarlyPage) -> None:
        """One more page is read."""
        self._pages[page.number] = page
        self._first.add(page)
        if self._clock() - self._noted < EVERY or page.number == page.pages:
            return
        try:
            self._note()
            self._first.hand_on(page)
        except Unavailable as error:  # the next time, then: it is read all the same
            log.info("pages can't be noted yet", extra={"reason": error.message})
        self._noted = self._clock()

    def _note(self) -> None:
        event, last = self._event, self._pages[max(self._pages)]
        with self._store.write() as session:
            documents = Documents(session, event.tenant)
            before = documents.get(event.document_id, for_update=True)
            if before is None or not before.awaits_reading(event.attempt):
                raise NobodyWaits
            fact = PagesSoFar(event.attempt, SoFar(last.number, last.pages))
            after = before.after(advance(before.progress, fact), now_utc())
            documents.save(after)
            EarlyPages(session, event.tenant).keep(after, list(self._pages.values()))
        self._pages = {}
