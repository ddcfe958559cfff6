"""Decisions of reviewers, projected from `review.decided.v1`.

The events of a document are handled in order, so a decision after a request would wait for the
answer. The separate queue `decisions` does not wait, so each call knows the decision.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, MetaData, String, Table, delete, select
from sqlalchemy.orm import Session

from shared.events import DocumentDeleted, ReviewDecided
from shared.messaging import UnitOfWork
from shared.messaging.tables import Time
from shared.storage.upsert import insert_into

metadata = MetaData()

decided = Table(
    "decided",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("result_id", String(64), primary_key=True),
    Column("time", Time, nullable=False),
)
"""The time of the latest decision about each result."""


class KnownDecisions:
    """The decisions in one tenant."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def note(self, event: ReviewDecided) -> None:
        """Store a decision, or delete an undone one."""
        of = {"document_id": event.document_id, "stage": event.stage, "result_id": event.result_id}
        if event.verdict == "undo":
            self.session.execute(delete(decided).filter_by(tenant=self.tenant, **of))
            return
        row = insert_into(self.session, decided).values(tenant=self.tenant, **of, time=event.time)
        keys = [column.name for column in decided.primary_key]
        self.session.execute(
            row.on_conflict_do_update(index_elements=keys, set_={"time": event.time})
        )

    def since(self, document_id: str, stage: str, result_id: str, when: datetime) -> bool:
        """Whether a result was decided since a time. Older decisions were about older attempts."""
        query = select(decided.c.time).where(
            decided.c.tenant == self.tenant,
            decided.c.document_id == document_id,
            decided.c.stage == stage,
            decided.c.result_id == result_id,
            decided.c.time >= when,
        )
        return self.session.execute(query).first() is not None

    def forget(self, document_id: str) -> None:
        """Delete the decisions about a document."""
        self.session.execute(delete(decided).filter_by(tenant=self.tenant, document_id=document_id))


def note_decision(event: ReviewDecided, uow: UnitOfWork) -> None:
    """Store a reviewer's decision."""
    with uow:
        KnownDecisions(uow.session, event.tenant).note(event)


def forget_decisions(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """Delete the decisions about a deleted document."""
    with uow:
        KnownDecisions(uow.session, event.tenant).forget(event.document_id)
