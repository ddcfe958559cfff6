"""Rows of resumable uploads. Every query names the tenant, except the cleanup."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.idempotency.store import delete_answers
from services.ingest.resumable.domain import PartialUpload
from services.ingest.store import metadata
from shared.messaging.tables import Time
from shared.storage.locks import lock
from shared.storage.tenant_isolation import across_tenants

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16)),
    sa.Column("adapters", sa.JSON, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("expires", Time, nullable=False),
    sa.Column("document", sa.String(64)),
    sa.Index("uploads_of_tenant", "tenant"),
    sa.Index("uploads_expire", "expires"),
)


class Uploads:
    """The uploads of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def lock(self) -> None:
        """Serialise new uploads, so that they can be counted."""
        lock(self.session, f"uploads of {self.tenant}")

    def open(self) -> tuple[int, int]:
        """Return the number of open uploads and their announced bytes."""
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(uploads.c.length), 0)
        ).where(uploads.c.tenant == self.tenant, uploads.c.document.is_(None))
        number, size = self.session.execute(query).one()
        return int(number), int(size)

    def add(self, upload: PartialUpload) -> None:
        self.session.execute(sa.insert(uploads).values(asdict(upload)))

    def get(self, upload_id: str) -> PartialUpload | None:
        query = sa.select(uploads).where(self._is(upload_id))
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _upload(row)

    def finish(self, upload_id: str, document: str) -> None:
        """Store the id of the document; the document has the name now."""
        self.session.execute(
            sa.update(uploads).where(self._is(upload_id)).values(document=document, name="")
        )

    def postpone(self, upload_id: str, expires: datetime) -> None:
        self.session.execute(sa.update(uploads).where(self._is(upload_id)).values(expires=expires))

    def remove(self, upload_id: str) -> None:
        """Delete the upload and the stored answers about it."""
        self.session.execute(sa.delete(uploads).where(self._is(upload_id)))
        delete_answers(self.session, self.tenant, upload_id)

    def _is(self, upload_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(uploads.c.tenant == self.tenant, uploads.c.id == upload_id)


def expired(session: Session, now: datetime, most: int = 100) -> list[PartialUpload]:
    """Return some expired uploads of any tenant, oldest first."""
    query = (
        sa.select(uploads).where(uploads.c.expires < now).order_by(uploads.c.expires).limit(most)
    )
    rows = session.execute(across_tenants(query, "expired uploads"))
    return [_upload(row) for row in rows.mappings()]


def _upload(row: sa.RowMapping) -> PartialUpload:
    return PartialUpload(**{**row, "adapters": tuple(row["adapters"])})
