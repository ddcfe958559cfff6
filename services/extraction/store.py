"""Tables and queries of extraction. Every query names the tenant. Callers control the
transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    delete,
    insert,
    literal_column,
    select,
)

from services.extraction.domain import PASSES, ExtractedClause, Extraction, Omitted
from services.extraction.values import CATEGORIES as VALUED
from services.extraction.values import ClauseContext
from shared.documents.model.parsed_document import Box
from shared.errors import InvalidRequest
from shared.projection import DocumentRecords, document_columns

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()

extractions = Table(
    "extractions", metadata, *document_columns(), Column("passes", JSON, nullable=False)
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
    Column("omitted", JSON),
    Column("boxes", JSON, nullable=False),
    Column("route", String(16), nullable=False),
    Column("sampled", Boolean, nullable=False),
)
accepted = clauses.c.route == literal_column("'accept'")  # as a parameter it would miss the index
Index(
    "clauses_accepted",
    clauses.c.tenant,
    clauses.c.adapter,
    sqlite_where=accepted,
    postgresql_where=accepted,
)


class Extractions(DocumentRecords[Extraction]):
    """The contracts of one tenant and their clauses."""

    table = extractions
    record = Extraction
    required_blobs: ClassVar = {"blobs": "list of clauses, search or questions"}

    def fields_of(self, row: Any) -> dict[str, Any]:
        """See DocumentRecords."""
        return {"passes": PASSES.validate_python(row.passes)}

    def columns_of(self, record: Extraction) -> dict[str, Any]:
        """See DocumentRecords."""
        return {"passes": PASSES.dump_python(record.passes, mode="json")}

    def replace_clauses(self, document_id: str, found: Sequence[ExtractedClause]) -> None:
        """Replace all clauses of a document."""
        self.session.execute(
            delete(clauses).where(
                clauses.c.tenant == self.tenant, clauses.c.document_id == document_id
            )
        )
        owner = {"tenant": self.tenant, "document_id": document_id}
        rows = [{**owner, "position": i, **clause.to_row()} for i, clause in enumerate(found)]
        if rows:
            self.session.execute(insert(clauses), rows)

    def clauses(
        self,
        document_id: str,
        *,
        adapter: str | None = None,
        categories: Sequence[str] = (),
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[list[ExtractedClause], str | None]:
        """A page of clauses in the order of the text, and the cursor of the next page.

        Raises:
            InvalidRequest: the cursor is invalid.
        """
        query = self._select(document_id, adapter)
        if categories:
            query = query.where(clauses.c.category.in_(categories))
        if cursor is not None:
            query = query.where(clauses.c.position > _position(cursor))
        rows = self.session.execute(query.limit(limit + 1)).all()
        more = str(rows[limit - 1].position) if len(rows) > limit else None
        return [_clause(row) for row in rows[:limit]], more

    def find(self, document_id: str, clause_id: str) -> ExtractedClause | None:
        """One clause of a document; None if it has no such clause now."""
        query = self._select(document_id).where(clauses.c.id == clause_id)
        row = self.session.execute(query).first()
        return _clause(row) if row else None

    def all_clauses(self, document_id: str) -> list[ExtractedClause]:
        """Every clause of a document, in the order of the text."""
        return [_clause(row) for row in self.session.execute(self._select(document_id))]

    def valued(self, document_id: str, adapter: str | None = None) -> list[ClauseContext]:
        """The clauses of categories with values, in the order of the text."""
        query = self._select(document_id, adapter).where(clauses.c.category.in_(VALUED))
        rows = self.session.execute(query)
        return [ClauseContext(r.id, r.category, r.confidence, r.start, r.text) for r in rows]

    def scores(self, document_id: str, adapter: str) -> list[tuple[str, float]]:
        """Category and confidence of each clause of one specialist."""
        rows = self.session.execute(self._select(document_id, adapter))
        return [(row.category, row.confidence) for row in rows]

    def _select(self, document_id: str, adapter: str | None = None) -> Select[Any]:
        """The clauses of a document, or those of one specialist, in the order of the text."""
        query = select(clauses).where(
            clauses.c.tenant == self.tenant, clauses.c.document_id == document_id
        )
        if adapter is not None:
            query = query.where(clauses.c.adapter == adapter)
        return query.order_by(clauses.c.position)


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidRequest("the cursor is not one that this list gave")
    return int(cursor)


def _clause(row: Any) -> ExtractedClause:
    columns = {field.name: getattr(row, field.name) for field in fields(ExtractedClause)}
    columns["omitted"] = tuple(Omitted(**span) for span in row.omitted or ())
    columns["boxes"] = tuple(Box(**box) for box in row.boxes)
    return ExtractedClause(**columns)
