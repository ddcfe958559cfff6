"""What people have decided, as far as escalation has heard of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, MetaData, String, Table, delete, select
from sqlalchemy.orm import Session

from shared.events import ReviewDecided
from shared.storage.messages import Time
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
"""The latest decision about each result; nothing where it was undone."""


class Decided:
    """What people of one tenant have decided."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def note(self, event: ReviewDecided) -> None:
        """Keep a decision, or that it was undone."""
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
        """Whether somebody decided about a result after a moment: an older decision was about an
        earlier reading of the document.
        """
        query = select(decided.c.time).where(
            decided.c.tenant == self.tenant,
            decided.c.document_id == document_id,
            decided.c.stage == stage,
            decided.c.result_id == result_id,
            decided.c.time >= when,
        )
        return self.session.execute(query).first() is not None

    def forget(self, document_id: str) -> None:
        """Remove what was decided about a deleted document."""
        self.session.execute(delete(decided).filter_by(tenant=self.tenant, document_id=document_id))
