"""Pages of a document that can be looked at while the others are still read.

They lie in the database, since every process of ingest may be asked for them, and go with the next
state of their document: once it is read, has failed, is cancelled, deleted or begun anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.orm import Session

from services.ingest.domain import Document, PagesSoFar, SoFar, advance, now_utc
from services.ingest.store import Documents, early_pages
from shared.documents import EarlyPage
from shared.errors import Unavailable
from shared.events import DocumentIngested
from shared.storage import Store

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds of reading between two notes; what is read in less has none."""


class EarlyPages:
    """The pages of one tenant's documents that are being read, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def keep(self, document: Document, pages: Sequence[EarlyPage]) -> None:
        """Add some pages of the attempt, in the place of those of the same numbers."""
        numbers = [page.number for page in pages]
        between = early_pages.c.number.between(min(numbers), max(numbers))
        self.session.execute(delete(early_pages).where(self._of(document), between))
        common = {"tenant": self.tenant, "document_id": document.id}
        rows = [
            {
                **common,
                "attempt": document.progress.attempt,
                "number": page.number,
                "text": page.text.encode(),
                "width": page.width,
                "height": page.height,
                "method": page.method,
                "confidence": page.confidence,
                "code": page.code,
                "reason": page.reason,
            }
            for page in pages
        ]
        self.session.execute(insert(early_pages), rows)

    def of(self, document: Document, number: int | None = None) -> list[EarlyPage]:
        """Those of the attempt in hand, in order; or that of one number."""
        query = select(early_pages).where(
            self._of(document), early_pages.c.attempt == document.progress.attempt
        )
        if number is not None:
            query = query.where(early_pages.c.number == number)
        so_far = document.progress.reading
        return [
            EarlyPage(
                number=row.number,
                pages=so_far.of if so_far else 0,
                text=row.text.decode(),
                width=row.width,
                height=row.height,
                method=row.method,
                confidence=row.confidence,
                code=row.code,
                reason=row.reason,
            )
            for row in self.session.execute(query.order_by(early_pages.c.number))
        ]

    def _of(self, document: Document) -> ColumnElement[bool]:
        return and_(early_pages.c.tenant == self.tenant, early_pages.c.document_id == document.id)


class Recorder:
    """Notes the pages of one attempt while its document is read, at most once a second.

    Args:
        clock: seconds, for tests.
    """

    def __init__(
        self, event: DocumentIngested, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._event = event
        self._store = store
        self._clock = clock
        self._noted = clock()
        self._pages: dict[int, EarlyPage] = {}

    def __call__(self, page: EarlyPage) -> None:
        """One more page is read."""
        self._pages[page.number] = page
        if self._clock() - self._noted < EVERY or page.number == page.pages:
            return
        try:
            self._note()
        except Unavailable as error:  # the next time, then: it is read all the same
            log.info("pages can't be noted yet", extra={"reason": error.message})
        self._noted = self._clock()

    def _note(self) -> None:
        event, last = self._event, self._pages[max(self._pages)]
        with self._store.write() as session:
            documents = Documents(session, event.tenant)
            before = documents.get(event.document_id, for_update=True)
            if before is not None and before.awaits_reading(event.attempt):
                fact = PagesSoFar(event.attempt, SoFar(last.number, last.pages))
                after = before.after(advance(before.progress, fact), now_utc())
                documents.save(after)
                EarlyPages(session, event.tenant).keep(after, list(self._pages.values()))
        self._pages = {}
