"""The table of filings that were checked. Every query names the tenant; transactions belong to the
caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, delete, insert, select
from sqlalchemy.orm import Session

from services.triage.domain import CheckedFiling

metadata = MetaData()

filings = Table(
    "filings",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("recognised", Boolean, nullable=False),
    Column("warnings", Integer, nullable=False),
)
"""Those of an older attempt at a document say nothing of its findings."""


class Filings:
    """What is noted of the filings of one tenant's documents."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def replace(self, document_id: str, attempt: int, found: Sequence[CheckedFiling]) -> None:
        """Put filings in the place of all that the document had."""
        self.forget(document_id)
        key = {"tenant": self.tenant, "document_id": document_id, "attempt": attempt}
        if rows := [{**key, **asdict(one)} for one in found]:
            self.session.execute(insert(filings), rows)

    def forget(self, document_id: str) -> None:
        """Remove all of a document."""
        these = filings.c.tenant == self.tenant, filings.c.document_id == document_id
        self.session.execute(delete(filings).where(*these))

    def of(self, document_id: str, attempt: int) -> list[CheckedFiling]:
        """Those of an attempt at a document, in their order; none if it was checked by a release
        that did not note them.
        """
        names = ("number", "whole", "recognised", "warnings")
        rows = self.session.execute(
            select(*(filings.c[name] for name in names))
            .where(
                filings.c.tenant == self.tenant,
                filings.c.document_id == document_id,
                filings.c.attempt == attempt,
            )
            .order_by(filings.c.number)
        )
        return [CheckedFiling(*row) for row in rows]
