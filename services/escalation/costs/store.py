"""The table of what specialists read. Every query names the tenant, but that of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    func,
    select,
)
from sqlalchemy.orm import Session

from services.escalation.costs.domain import Reading, Work
from shared.storage.upsert import insert_new

metadata = MetaData()

readings = Table(
    "readings",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("adapter", String(64), primary_key=True),
    Column("version", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("day", String(10), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("quoted", BigInteger, nullable=False),
    Index("readings_day", "tenant", "day"),
)

_SUMS = (
    func.count(func.distinct(readings.c.document_id)).label("documents"),
    func.coalesce(func.sum(readings.c.seconds), 0.0).label("seconds"),
    func.coalesce(func.sum(readings.c.tokens), 0).label("tokens"),
    func.coalesce(func.sum(readings.c.quoted), 0).label("quoted"),
)


class Readings:
    """What the specialists of one tenant read."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def note(self, reading: Reading) -> None:
        """Keep one; twice is as good as once."""
        insert_new(self.session, readings, **vars(reading))

    def all(self) -> Work:
        """Everything."""
        row = self.session.execute(select(*_SUMS).where(readings.c.tenant == self.tenant)).one()
        return _work("", row)

    def by(self, name: str) -> list[Work]:
        """By `day`, `kind`, `document`, `adapter` or `tenant`; by anything else nothing."""
        column = {"document": "document_id"}.get(name, name)
        if column not in readings.c:
            return []
        key = readings.c[column]
        rows = self.session.execute(
            select(key.label("key"), *_SUMS).where(readings.c.tenant == self.tenant).group_by(key)
        )
        return [_work(row.key, row) for row in rows]

    def by_version(self) -> list[tuple[str, str, Work]]:
        """Adapter, version, and what it read."""
        key = (readings.c.adapter, readings.c.version)
        rows = self.session.execute(
            select(*key, *_SUMS)
            .where(readings.c.tenant == self.tenant)
            .group_by(*key)
            .order_by(*key)
        )
        return [(row.adapter, row.version, _work(row.adapter, row)) for row in rows]


def of_all_tenants(session: Session) -> Sequence[Work]:
    """By tenant, for operators: no request of a tenant's may ask this."""
    rows = session.execute(
        select(readings.c.tenant.label("key"), *_SUMS).group_by(readings.c.tenant)
    )
    return [_work(row.key, row) for row in rows]


def _work(key: str, row: Any) -> Work:
    return Work(key, row.documents, float(row.seconds), int(row.tokens), int(row.quoted))
