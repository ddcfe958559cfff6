"""Queries of what a check may look like (`disguise.py`). Every query names the tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.review.disguise import NEAR, Look, start_of
from services.review.domain import Document, Item
from services.review.store import SURE, UNSURE, items

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


def _of_others(document: Document, sort: Sort) -> Select[Any]:
    of = items.c
    query = select(*_COLUMNS, of.proposal.is_not(None)).where(
        of.tenant == document.tenant,
        of.kind == sort.kind,
        of.adapter == sort.adapter,
        of.document_id != document.id,
    )
    return query if sort.category is None else query.where(of.category == sort.category)
