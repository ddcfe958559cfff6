"""The table of the work of specialists."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
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
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_new

_OPERATOR = "an operator sees what all cost"

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
    """Columns for the sums of readings.

    Tokens count for the last reading of a document by a specialist; seconds count for all. Several
    specialists share the `text` of a document equally.

    Args:
        same: columns in which a later reading must equal an earlier one to replace it.
    """
    later = readings.alias("later")
    keys = readings.c.tenant, readings.c.document_id, readings.c.adapter, *same
    equal = (later.c[key.name] == key for key in keys)
    last = ~exists().where(*equal, later.c.attempt > readings.c.attempt)
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
    """The work of the specialists for one tenant."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def note(self, reading: Reading) -> None:
        """Store a reading, once."""
        insert_new(self.session, readings, **vars(reading))

    def all(self) -> Work:
        """Return the total work."""
        row = self.session.execute(select(*_SUMS).where(readings.c.tenant == self.tenant)).one()
        return _work("", row)

    def by(self, name: str) -> list[Work]:
        """Return the work by `day`, `kind`, `document`, `adapter` or `tenant`."""
        column = {"document": "document_id"}.get(name, name)
        if column not in readings.c:
            return []
        key = readings.c[column]
        rows = self.session.execute(
            select(key.label("key"), *_SUMS).where(readings.c.tenant == self.tenant).group_by(key)
        )
        return [_work(row.key, row) for row in rows]

    def by_version(self) -> list[tuple[str, str, Work]]:
        """Return the work by adapter and version."""
        key = (readings.c.adapter, readings.c.version)
        rows = self.session.execute(
            select(*key, *_sums(readings.c.version))
            .where(readings.c.tenant == self.tenant)
            .group_by(*key)
            .order_by(*key)
        )
        return [(row.adapter, row.version, _work(row.adapter, row)) for row in rows]

    def paid(self) -> dict[tuple[str, str], Decimal]:
        """Return the US$ paid for calls, by adapter and version of their documents.

        Several specialists share the payments of a document equally.
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


@dataclass(frozen=True)
class TenantCosts:
    """The cost of one tenant: calls in millionths of a US$, and work on this machine."""

    tenant: str
    calls: int
    micro_usd: int
    work: Work


def costs_of_tenants(session: Session) -> list[TenantCosts]:
    """Every tenant that has called a provider or had something read, by name."""
    calls = (
        select(
            ledger.c.tenant,
            func.count().label("calls"),
            func.sum(ledger.c.micro_usd).label("micro_usd"),
        )
        .where(ledger.c.state != "released")
        .group_by(ledger.c.tenant)
    )
    works = select(readings.c.tenant.label("key"), *_SUMS).group_by(readings.c.tenant)
    paid = {
        row.tenant: (row.calls, int(row.micro_usd))
        for row in session.execute(across_tenants(calls, _OPERATOR))
    }
    worked = {
        row.key: _work(row.key, row) for row in session.execute(across_tenants(works, _OPERATOR))
    }
    return [
        TenantCosts(name, *paid.get(name, (0, 0)), worked.get(name, Work(name)))
        for name in sorted(paid.keys() | worked.keys())
    ]


def _work(key: str, row: Any) -> Work:
    return Work(
        key, row.documents, float(row.seconds), int(row.tokens), int(row.quoted), float(row.text)
    )
