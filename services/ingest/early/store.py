"""The pages of documents that are being read. Every query names the tenant."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.orm import Session

from services.ingest.domain import Document
from services.ingest.store import early_pages
from shared.documents import EarlyPage


class EarlyPages:
    """The pages of one tenant's documents that are being read, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def keep(self, document: Document, pages: Sequence[EarlyPage]) -> None:
        """Add some pages of the attempt, in the place of those of the same numbers."""
        these = early_pages.c.number.in_([page.number for page in pages])
        self.session.execute(delete(early_pages).where(self._of(document), these))
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
