"""The table of what specialists read. Every query names the tenant, but that of operators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    case,
    cast,
    exists,
    func,
    select,
)
from sqlalchemy.orm import Session

from services.escalation.costs.domain import Reading, Work
from services.escalation.ledger.store import ledger
from services.escalation.store import MICRO
from shared.storage.tenants import across_tenants
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


def _sums(*same: Column[Any]) -> tuple[ColumnElement[Any], ...]:
    """What readings add up to. A text is paid once, however often it is read anew here: its tokens
    are those of its last reading by a specialist; the seconds of all are paid. Where several
    specialists read a document, each has an equal part of its `text`.

    Args:
        same: columns in which readings have to be alike for the later one to take the place.
    """
    later = readings.alias("later")
    keys = readings.c.tenant, readings.c.document_id, readings.c.adapter, *same
    alike = (later.c[key.name] == key for key in keys)
    last = ~exists().where(*alike, later.c.attempt > readings.c.attempt)
    tokens, quoted = (case((last, one), else_=0) for one in (readings.c.tokens, readings.c.quoted))
    others = readings.alias("others")
    readers = (
        select(func.count(func.distinct(others.c.adapter)))
        .where(others.c.tenant == readings.c.tenant)
        .where(others.c.document_id == readings.c.document_id)
        .scalar_subquery()
    )
    return (
        func.count(func.distinct(readings.c.document_id)).label("documents"),
        func.coalesce(func.sum(readings.c.seconds), 0.0).label("seconds"),
        func.coalesce(func.sum(tokens), 0).label("tokens"),
        func.coalesce(func.sum(quoted), 0).label("quoted"),
        func.coalesce(func.sum(cast(tokens, Float) / readers), 0.0).label("text"),
    )


_SUMS = _sums()


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
            select(*key, *_sums(readings.c.version))
            .where(readings.c.tenant == self.tenant)
            .group_by(*key)
            .order_by(*key)
        )
        return [(row.adapter, row.version, _work(row.adapter, row)) for row in rows]

    def paid(self) -> dict[tuple[str, str], Decimal]:
        """US$ that calls count with, by adapter and version that read their documents.

        Where several read a document, each has an equal part of what was paid for it: a call names
        its document, not who was unsure. Documents of which no reading was measured are left out.
        """
        mine = ledger.c.tenant == self.tenant, ledger.c.state != "released"
        calls = (
            select(ledger.c.document_id, func.sum(ledger.c.micro_usd).label("micro_usd"))
            .where(*mine)
            .group_by(ledger.c.document_id)
            .subquery()
        )
        rows = self.session.execute(
            select(calls, readings.c.adapter, readings.c.version)
            .join(readings, readings.c.document_id == calls.c.document_id)
            .where(readings.c.tenant == self.tenant)
            .distinct()
        )
        readers: dict[str, set[tuple[str, str]]] = defaultdict(set)
        usd: dict[str, Decimal] = {}
        for row in rows:
            readers[row.document_id].add((row.adapter, row.version))
            usd[row.document_id] = Decimal(int(row.micro_usd)) / MICRO
        parts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for document, who in readers.items():
            for one in who:
                parts[one] += usd[document] / len(who)
        return dict(parts)


def of_all_tenants(session: Session) -> Sequence[Work]:
    """By tenant, for operators: no request of a tenant's may ask this."""
    query = select(readings.c.tenant.label("key"), *_SUMS).group_by(readings.c.tenant)
    rows = session.execute(across_tenants(query, "an operator sees what all cost"))
    return [_work(row.key, row) for row in rows]


def _work(key: str, row: Any) -> Work:
    return Work(
        key, row.documents, float(row.seconds), int(row.tokens), int(row.quoted), float(row.text)
    )
