"""The table of documents of one service. The caller controls the transaction."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import JSON, Column, Integer, String, Table, Text, insert, select, update
from sqlalchemy.orm import Session

from shared.blobs.references import Blob, BlobReference
from shared.events import BlobRef
from shared.messaging.tables import Time
from shared.projection.record import DocumentRecord
from shared.storage.tenant_isolation import across_tenants

Record = TypeVar("Record", bound=DocumentRecord)


def document_columns() -> tuple[Column[Any], ...]:
    """The columns that every service's table of documents begins with."""
    return (
        Column("tenant", String(64), primary_key=True),
        Column("document_id", String(64), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("state", String(16), nullable=False),
        Column("code", String(64)),
        Column("reason", Text),
        Column("blobs", JSON, nullable=False),
        Column("updated", Time, nullable=False),
    )


class DocumentRecords(ABC, Generic[Record]):
    """The documents of one tenant. A service adds the columns of its result."""

    table: ClassVar[Table]
    record: type[Record]
    required_blobs: ClassVar[Mapping[str, str]]
    """Columns with blobs that a finished document must have, each with a description."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    @abstractmethod
    def fields_of(self, row: Any) -> dict[str, Any]:
        """The fields of the service's result, from a row."""

    @abstractmethod
    def columns_of(self, record: Record) -> dict[str, Any]:
        """The columns of the service's result."""

    def get(self, document_id: str, *, lock: bool = False) -> Record | None:
        """Read a record, also that of a deleted document.

        Args:
            lock: block other writers until the transaction ends.
        """
        table = self.table
        query = select(table).where(
            table.c.tenant == self.tenant, table.c.document_id == document_id
        )
        row = self.session.execute(query.with_for_update() if lock else query).one_or_none()
        return None if row is None else self.from_row(row)

    def lock(self, document_id: str) -> Record:
        """Read and lock a record. An unknown document gets one of attempt 0, not stored yet."""
        record = self.get(document_id, lock=True)
        return record or self.record(self.tenant, document_id, "other", 0)

    def from_row(self, row: Any) -> Record:
        """The record in a row of the table."""
        return self.record(
            tenant=row.tenant,
            document_id=row.document_id,
            kind=row.kind,
            attempt=row.attempt,
            state=row.state,
            code=row.code,
            reason=row.reason,
            blobs=tuple(BlobRef(**ref) for ref in row.blobs),
            updated=row.updated,
            **self.fields_of(row),
        )

    def save(self, record: Record) -> None:
        """Insert or update a record."""
        table = self.table
        values: dict[str, Any] = {
            "kind": record.kind,
            "attempt": record.attempt,
            "state": record.state,
            "code": record.code,
            "reason": record.reason,
            "blobs": [ref.model_dump() for ref in record.blobs],
            "updated": datetime.now(UTC),
            **self.columns_of(record),
        }
        key = {"tenant": self.tenant, "document_id": record.document_id}
        changed = self.session.execute(update(table).filter_by(**key).values(**values))
        if changed.rowcount == 0:  # type: ignore[attr-defined]
            self.session.execute(insert(table).values(**key, **values))

    def done(self) -> list[str]:
        """The ids of all documents with a stored result, sorted."""
        table = self.table
        query = select(table.c.document_id).where(
            table.c.tenant == self.tenant, table.c.state == "done"
        )
        return list(self.session.execute(query.order_by(table.c.document_id)).scalars())

    @classmethod
    def blob_references(cls, session: Session) -> Iterator[BlobReference]:
        """The blobs of every document of every tenant, for `verify` and backups."""
        names = dict.fromkeys(
            ("tenant", "document_id", "attempt", "state", "blobs", *cls.required_blobs)
        )
        query = across_tenants(select(*(cls.table.c[name] for name in names)), "upkeep")
        for row in session.execute(query.execution_options(yield_per=1000)):
            done = row.state == "done"
            yield BlobReference(
                tenant=sys.intern(row.tenant),
                id=row.document_id,
                attempt=row.attempt,
                done=done,
                alive=row.state != "deleted",
                required=tuple(cls._required(row)) if done else (),
                noted=tuple(Blob.of(ref) for ref in row.blobs),
            )

    @classmethod
    def _required(cls, row: Any) -> Iterator[tuple[str, Blob]]:
        for column, description in cls.required_blobs.items():
            value = getattr(row, column)
            for ref in value if isinstance(value, list) else [value]:
                if ref and ref["size"]:
                    yield description, Blob.of(ref)
