"""Tables and queries of escalation. The caller controls the transaction."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.escalation.domain import Escalation, Spend
from services.escalation.ledger.store import forget, ledger, mark_verified
from shared.blobs.references import Blob, BlobReference
from shared.errors import InvalidRequest
from shared.events import BlobRef
from shared.events.questions import Proposal
from shared.messaging.tables import Time
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_new

MIGRATIONS = Path(__file__).parent / "migrations"
MICRO = Decimal(1_000_000)
By = Literal["provider", "model", "day", "kind", "document", "adapter", "tenant"]
"""Keys of sums; `adapter` includes providers."""

metadata = MetaData()

escalations = Table(
    "escalations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("document_id", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("result_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested", Time, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("category", String(200), nullable=False),
    Column("call_id", String(64)),
    Column("proposal", JSON(none_as_null=True)),
    Column("answer", JSON(none_as_null=True)),
    Index("escalations_newest", "tenant", "requested", "id"),
    Index("escalations_document", "tenant", "document_id"),
)


class Escalations:
    """The escalations of one tenant."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def begin(self, escalation: Escalation) -> None:
        """Store an escalation, once."""
        insert_new(self.session, escalations, **_values(escalation))

    def note_answer(self, escalation_id: str, ref: BlobRef) -> bool:
        """Store the blob reference of an answer. Returns whether the escalation exists."""
        return self._update(escalation_id, answer=ref.model_dump())

    def finish(self, escalation: Escalation) -> bool:
        """Store the outcome of an escalation. Returns whether it still exists.

        A call with a proposal is marked as verified.
        """
        values = _values(escalation)
        kept = {name: values[name] for name in ("state", "reason", "category", "call_id")}
        found = self._update(escalation.id, **kept, proposal=values["proposal"])
        if found and escalation.proposal and escalation.call_id:
            mark_verified(self.session, self.tenant, escalation.call_id)
        return found

    def newest(
        self, *, answered: bool, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Escalation], str | None]:
        """Return escalations with or without an answer, newest first, and the next cursor.

        Raises InvalidRequest for an invalid cursor.
        """
        state = escalations.c.state == "answered"
        query = select(escalations).where(
            escalations.c.tenant == self.tenant, state if answered else ~state
        )
        if cursor is not None:
            query = query.where(self._behind(cursor))
        rows = self.session.execute(
            query.order_by(escalations.c.requested.desc(), escalations.c.id.desc()).limit(limit + 1)
        ).all()
        found = [_escalation(row) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def forget(self, document_id: str) -> list[BlobRef]:
        """Delete all escalations of a document. Returns the blobs of their answers."""
        mine = and_(escalations.c.tenant == self.tenant, escalations.c.document_id == document_id)
        rows = self.session.execute(select(escalations.c.answer).where(mine)).all()
        self.session.execute(delete(escalations).where(mine))
        forget(self.session, self.tenant, document_id)
        return [BlobRef(**row.answer) for row in rows if row.answer]

    def spent(self, by: By = "provider") -> list[Spend]:
        """Return the spending by key: newest day first, or by name."""
        key = ledger.c[{"document": "document_id", "adapter": "provider"}.get(by, by)]
        open_money = {
            state: func.sum(case((ledger.c.state == state, ledger.c.micro_usd), else_=0))
            for state in ("assumed", "reserved")
        }
        rows = self.session.execute(
            select(
                key.label("key"),
                func.count().label("calls"),
                func.sum(ledger.c.micro_usd).label("micro_usd"),
                open_money["assumed"].label("assumed"),
                open_money["reserved"].label("reserved"),
                func.sum(ledger.c.tokens_in).label("tokens_in"),
                func.sum(ledger.c.tokens_out).label("tokens_out"),
            )
            .where(ledger.c.tenant == self.tenant, ledger.c.state != "released")
            .group_by(key)
            .order_by(key.desc() if by == "day" else key)
        )
        return [
            Spend(
                key=row.key,
                calls=row.calls,
                usd=Decimal(row.micro_usd) / MICRO,
                uncertain_usd=Decimal(row.assumed) / MICRO,
                reserved_usd=Decimal(row.reserved) / MICRO,
                tokens_in=int(row.tokens_in),
                tokens_out=int(row.tokens_out),
            )
            for row in rows
        ]

    def prices_of(self, ids: list[str]) -> dict[str, Decimal]:
        """Return the cost of escalations in US$."""
        rows = self.session.execute(
            select(ledger.c.escalation_id, func.sum(ledger.c.micro_usd).label("micro_usd"))
            .where(ledger.c.tenant == self.tenant, ledger.c.escalation_id.in_(ids))
            .group_by(ledger.c.escalation_id)
        )
        return {row.escalation_id: Decimal(row.micro_usd) / MICRO for row in rows}

    def _update(self, escalation_id: str, **values: Any) -> bool:
        changed = self.session.execute(
            update(escalations)
            .where(escalations.c.tenant == self.tenant, escalations.c.id == escalation_id)
            .values(**values)
        )
        return bool(changed.rowcount)  # type: ignore[attr-defined]

    def _behind(self, cursor: str) -> ColumnElement[bool]:
        last = self.session.execute(
            select(escalations.c.requested).where(
                escalations.c.tenant == self.tenant, escalations.c.id == cursor
            )
        ).scalar_one_or_none()
        if last is None:
            raise InvalidRequest("Invalid cursor. Start without one.")
        return or_(
            escalations.c.requested < last,
            and_(escalations.c.requested == last, escalations.c.id < cursor),
        )


def _values(escalation: Escalation) -> dict[str, Any]:
    values = dict(vars(escalation))
    values["proposal"] = (
        escalation.proposal.model_dump(mode="json") if escalation.proposal else None
    )
    values["answer"] = escalation.answer.model_dump() if escalation.answer else None
    return values


def _escalation(row: Row[Any]) -> Escalation:
    values = dict(row._mapping)
    values["proposal"] = Proposal(**row.proposal) if row.proposal else None
    values["answer"] = BlobRef(**row.answer) if row.answer else None
    return Escalation(**values)


def holdings(session: Session) -> Iterator[BlobReference]:
    """Yield the blobs of all tenants, for verification."""
    table = escalations
    query = select(table.c.tenant, table.c.document_id, table.c.state, table.c.answer)
    query = across_tenants(query, "upkeep")
    for row in session.execute(query.execution_options(yield_per=1000)):
        answer = (Blob.of(row.answer),) if row.answer else ()
        answered = row.state == "answered"
        yield BlobReference(
            tenant=sys.intern(row.tenant),
            id=row.document_id,
            attempt=None,
            done=False,
            alive=True,
            required=tuple(("answer", ref) for ref in answer if answered),
            noted=() if answered else answer,
        )
