"""Queries of what a check may look like (`disguise.py`). Every query names the tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, delete, select
from sqlalchemy.orm import Session

from services.review.disguise import NEAR, Look, Shown, start_of
from services.review.domain import Document, Item
from services.review.store import SURE, UNSURE, documents, items, shown
from shared.storage.tenants import across_tenants
from shared.storage.upsert import insert_into

_COLUMNS = [items.c[name] for name in Look._fields if name != "answered"]


class Sort(NamedTuple):
    """Results that checks of one sort are compared with."""

    kind: str
    adapter: str
    category: str | None
    """None: of any."""

    @classmethod
    def of(cls, item: Item) -> Sort:
        """A clause looks like those of other categories too, a finding like those of its check."""
        return cls(item.kind, item.adapter, None if item.kind == "clause" else item.category)


def unsure(session: Session, document: Document, sort: Sort, key: bytes) -> list[Look]:
    """Results in other documents of its tenant that were not sure enough, decided or not, a few
    hundred at the most: of documents behind one that is drawn, in the order of their ids, and then
    from the first one on.

    Args:
        document: whose checks are to look like some.
        sort: which results.
        key: the secret of the draws.
    """
    of, start = items.c, start_of(document.id, key)
    found: list[Look] = []
    for part in (of.document_id >= start, of.document_id < start):
        if len(found) < NEAR:
            query = _of_others(document, sort).where(UNSURE, part)
            query = query.order_by(of.document_id, of.id).limit(NEAR - len(found))
            found += [Look._make(row) for row in session.execute(query)]
    return found


def least_sure(session: Session, document: Document, kind: str, adapter: str) -> Iterator[Look]:
    """The least sure of what was accepted in other documents of its tenant, of each category: one
    look into the index for each.
    """
    of, last = items.c, None
    while True:
        query = _of_others(document, Sort(kind, adapter, None)).where(SURE)
        if last is not None:
            query = query.where(of.category > last)
        row = session.execute(query.order_by(of.category, of.confidence).limit(1)).one_or_none()
        if row is None:
            return
        yield (look := Look._make(row))
        last = look.category


def shown_before(session: Session, document: Document) -> dict[str, Shown]:
    """What checks of a document showed when it was read before, by the id of the result."""
    query = select(*(shown.c[name] for name in Shown._fields)).where(
        shown.c.tenant == document.tenant, shown.c.document_id == document.id
    )
    return {row.result_id: Shown._make(row) for row in session.execute(query)}


def keep_shown(session: Session, new: Iterable[Item]) -> None:
    """Keep what the checks among these items show, in place of what was kept."""
    rows = [
        {"tenant": item.tenant, "document_id": item.document_id, **Shown.of(item)._asdict()}
        for item in sorted(new, key=lambda item: item.result_id)
        if item.sampled and item.shown_confidence is not None
    ]
    if rows:
        fresh = insert_into(session, shown)
        values = {name: fresh.excluded[name] for name in Shown._fields if name != "result_id"}
        keep = fresh.on_conflict_do_update(index_elements=list(shown.primary_key), set_=values)
        session.execute(keep, rows)


def left(session: Session) -> list[tuple[str, str]]:
    """Tenants and ids of documents that are deleted, of whose checks it is kept what they showed,
    of whichever tenant.
    """
    same = and_(shown.c.tenant == documents.c.tenant, shown.c.document_id == documents.c.id)
    gone = select(documents.c.tenant, documents.c.id).join(shown, same).distinct()
    gone = gone.where(documents.c.deleted.is_(True))
    rows = session.execute(across_tenants(gone, "what older programs have left"))
    return [(row.tenant, row.id) for row in rows]


def forget_shown(session: Session, tenant: str, document_id: str) -> None:
    """Forget what checks of a document showed."""
    of = shown.c.tenant == tenant, shown.c.document_id == document_id
    session.execute(delete(shown).where(*of))


def _of_others(document: Document, sort: Sort) -> Select[Any]:
    of = items.c
    query = select(*_COLUMNS, of.proposal.is_not(None)).where(
        of.tenant == document.tenant,
        of.kind == sort.kind,
        of.adapter == sort.adapter,
        of.document_id != document.id,
    )
    return query if sort.category is None else query.where(of.category == sort.category)
