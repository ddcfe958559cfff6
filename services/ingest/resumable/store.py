"""The rows of uploads in several requests. Every query names the tenant, but for the sweep."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.ingest.idempotency.store import forget_answers
from services.ingest.resumable.domain import PartialUpload
from services.ingest.store import metadata
from shared.storage.locks import lock
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(16)),
    Column("adapters", JSON, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("created", Time, nullable=False),
    Column("expires", Time, nullable=False),
    Column("document", String(64)),
    Index("uploads_of_tenant", "tenant"),
    Index("uploads_expire", "expires"),
)


class Uploads:
    """The uploads of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def lock(self) -> None:
        """Let one request at a time begin an upload, so that they can be counted."""
        lock(self.session, f"uploads of {self.tenant}")

    def open(self) -> tuple[int, int]:
        """How many are not finished, and the bytes that they are to have together."""
        query = select(func.count(), func.coalesce(func.sum(uploads.c.length), 0)).where(
            uploads.c.tenant == self.tenant, uploads.c.document.is_(None)
        )
        number, size = self.session.execute(query).one()
        return int(number), int(size)

    def add(self, upload: PartialUpload) -> None:
        """Keep a new one."""
        self.session.execute(insert(uploads).values(asdict(upload)))

    def get(self, upload_id: str) -> PartialUpload | None:
        """One upload, or None if the tenant has none of that id."""
        query = select(uploads).where(self._is(upload_id))
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _upload(row)

    def finish(self, upload_id: str, document: str) -> None:
        """Note what it became; its name is the document's business from then on."""
        self.session.execute(
            update(uploads).where(self._is(upload_id)).values(document=document, name="")
        )

    def postpone(self, upload_id: str, expires: datetime) -> None:
        """Give it more time."""
        self.session.execute(update(uploads).where(self._is(upload_id)).values(expires=expires))

    def remove(self, upload_id: str) -> None:
        """Forget it, and that it was begun."""
        self.session.execute(delete(uploads).where(self._is(upload_id)))
        forget_answers(self.session, self.tenant, upload_id)

    def _is(self, upload_id: str) -> ColumnElement[bool]:
        return and_(uploads.c.tenant == self.tenant, uploads.c.id == upload_id)


def expired(session: Session, now: datetime, most: int = 100) -> list[PartialUpload]:
    """Some uploads of any tenant whose time is over, the longest ago first."""
    query = select(uploads).where(uploads.c.expires < now).order_by(uploads.c.expires).limit(most)
    rows = session.execute(across_tenants(query, "uploads whose time is over"))
    return [_upload(row) for row in rows.mappings()]


def _upload(row: RowMapping) -> PartialUpload:
    return PartialUpload(**{**row, "adapters": tuple(row["adapters"])})
