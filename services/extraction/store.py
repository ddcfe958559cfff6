"""Tables and queries of extraction. Every query names the tenant; transactions belong to the
caller.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.extraction.domain import Extraction, FoundClause, Pass
from services.extraction.values import CATEGORIES as VALUED
from services.extraction.values import Located
from shared.documents.reading import Box
from shared.errors import InvalidRequest
from shared.events import BlobRef
from shared.storage.messages import Time
from shared.storage.sharing import noted, own_of
from shared.storage.tenants import across_tenants
from shared.upkeep.holdings import Blob, Held

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()

extractions = Table(
    "extractions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64)),
    Column("reason", Text),
    Column("blobs", JSON, nullable=False),
    Column("passes", JSON, nullable=False),
    Column("updated", Time, nullable=False),
)

clauses = Table(
    "clauses",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("adapter", String(64), nullable=False),
    Column("category", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("boxes", JSON, nullable=False),
    Column("route", String(16), nullable=False),
    Column("sampled", Boolean, nullable=False),
)


class Extractions:
    """What one tenant's documents have come to."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def get(self, document_id: str) -> Extraction | None:
        """Where the work on a document stands, deleted ones included."""
        table = extractions
        row = self.session.execute(
            select(table).where(table.c.tenant == self.tenant, table.c.document_id == document_id)
        ).one_or_none()
        if row is None:
            return None
        return Extraction(
            tenant=row.tenant,
            document_id=row.document_id,
            kind=row.kind,
            attempt=row.attempt,
            state=row.state,
            code=row.code,
            reason=row.reason,
            blobs=tuple(BlobRef(**ref) for ref in row.blobs),
            own=own_of(row.blobs),
            passes=tuple(Pass.of_json(kept) for kept in row.passes),
        )

    def save(self, extraction: Extraction) -> None:
        """Insert or update."""
        table = extractions
        values: dict[str, Any] = {
            "kind": extraction.kind,
            "attempt": extraction.attempt,
            "state": extraction.state,
            "code": extraction.code,
            "reason": extraction.reason,
            "blobs": noted(extraction.blobs, extraction.own),
            "passes": [one.to_json() for one in extraction.passes],
            "updated": datetime.now(UTC),
        }
        changed = self.session.execute(
            update(table)
            .where(
                table.c.tenant == self.tenant,
                table.c.document_id == extraction.document_id,
            )
            .values(**values)
        )
        if changed.rowcount == 0:  # type: ignore[attr-defined]
            keys = {"tenant": self.tenant, "document_id": extraction.document_id}
            self.session.execute(insert(table).values(**keys, **values))

    def replace_clauses(self, document_id: str, found: Sequence[FoundClause]) -> None:
        """Put clauses in the place of all that the document had."""
        self.session.execute(
            delete(clauses).where(
                clauses.c.tenant == self.tenant, clauses.c.document_id == document_id
            )
        )
        rows = [
            {
                "tenant": self.tenant,
                "document_id": document_id,
                "position": position,
                **clause.to_row(),
            }
            for position, clause in enumerate(found)
        ]
        if rows:
            self.session.execute(insert(clauses), rows)

    def clauses(
        self,
        document_id: str,
        *,
        adapter: str | None = None,
        category: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[list[FoundClause], str | None]:
        """Clauses in the order of the text, and the cursor that the list goes on from.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        query = (
            select(clauses)
            .where(*self._of(document_id, adapter))
            .order_by(clauses.c.position)
            .limit(limit + 1)
        )
        if category is not None:
            query = query.where(clauses.c.category == category)
        if cursor is not None:
            query = query.where(clauses.c.position > _position(cursor))
        rows = self.session.execute(query).all()
        more = str(rows[limit - 1].position) if len(rows) > limit else None
        return [_clause(row) for row in rows[:limit]], more

    def extracted(self) -> list[str]:
        """The ids of all documents whose clauses are stored."""
        table = extractions
        rows = self.session.execute(
            select(table.c.document_id)
            .where(table.c.tenant == self.tenant, table.c.state == "extracted")
            .order_by(table.c.document_id)
        )
        return [row.document_id for row in rows]

    def find(self, document_id: str, clause_id: str) -> FoundClause | None:
        """One clause of a document; None if it has none of that id now."""
        mine = self._of(document_id, None)
        found = self.session.execute(select(clauses).where(*mine, clauses.c.id == clause_id))
        row = found.first()
        return _clause(row) if row else None

    def all_clauses(self, document_id: str) -> list[FoundClause]:
        """Every clause of a document, in the order of the text."""
        query = select(clauses).where(*self._of(document_id, None)).order_by(clauses.c.position)
        return [_clause(row) for row in self.session.execute(query)]

    def valued(self, document_id: str, adapter: str | None = None) -> list[Located]:
        """The clauses of the categories that have values, in the order of the text."""
        rows = self.session.execute(
            select(clauses)
            .where(*self._of(document_id, adapter), clauses.c.category.in_(VALUED))
            .order_by(clauses.c.position)
        )
        return [Located(r.id, r.category, r.confidence, r.start, r.text) for r in rows]

    def scores(self, document_id: str, adapter: str) -> list[tuple[str, float]]:
        """Category and confidence of every clause that one specialist found in a document."""
        rows = self.session.execute(
            select(clauses.c.category, clauses.c.confidence).where(*self._of(document_id, adapter))
        )
        return [(row.category, row.confidence) for row in rows]

    def _of(self, document_id: str, adapter: str | None) -> list[ColumnElement[bool]]:
        """The clauses of a document, those of one specialist or all."""
        found = [clauses.c.tenant == self.tenant, clauses.c.document_id == document_id]
        return found if adapter is None else [*found, clauses.c.adapter == adapter]


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidRequest("the cursor is not one that this list gave")
    return int(cursor)


def _clause(row: Any) -> FoundClause:
    return FoundClause(
        id=row.id,
        adapter=row.adapter,
        category=row.category,
        text=row.text,
        start=row.start,
        end=row.end,
        page=row.page,
        confidence=row.confidence,
        boxes=tuple(Box(**box) for box in row.boxes),
        route=row.route,
        sampled=row.sampled,
    )


def holdings(session: Session) -> Iterator[Held]:
    """What is held of each document of every tenant, for whoever looks after the place."""
    accepted = exists().where(
        clauses.c.tenant == extractions.c.tenant,
        clauses.c.document_id == extractions.c.document_id,
        clauses.c.route == "accept",
    )
    query = select(
        extractions.c.tenant,
        extractions.c.document_id,
        extractions.c.attempt,
        extractions.c.state,
        extractions.c.blobs,
        accepted.label("accepted"),
    )
    query = across_tenants(query, "upkeep")
    for row in session.execute(query.execution_options(yield_per=1000)):
        refs = tuple(Blob.of(ref) for ref in row.blobs)
        done = row.state == "extracted"
        yield Held(
            tenant=sys.intern(row.tenant),
            id=row.document_id,
            attempt=row.attempt,
            done=done,
            alive=row.state != "deleted",
            required=tuple(("list of clauses or questions", ref) for ref in refs if done),
            noted=() if done else refs,
            accepted=done and row.accepted,
        )
