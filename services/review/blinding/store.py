"""Queries for blinding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.review.blinding.blinding import NEAR, Appearance, Shown, start_of
from services.review.domain import Document, Item
from services.review.store import SURE, UNSURE, items, shown
from shared.storage.upsert import insert_into

_COLUMNS = [items.c[name] for name in Appearance._fields if name != "answered"]


class Sort(NamedTuple):
    """A sort of results that samples may look like."""

    kind: str
    adapter: str
    category: str | None
    """None: any."""

    @classmethod
    def of(cls, item: Item) -> Sort:
        """Return the sort of a sample: clauses of any category, findings of one check."""
        return cls(item.kind, item.adapter, None if item.kind == "clause" else item.category)


def unsure(session: Session, document: Document, sort: Sort, key: bytes) -> list[Appearance]:
    """Return uncertain results of other documents, at most `NEAR`.

    They are in order of document ids from a random one on, then from the beginning.

    Args:
        document: of the samples.
        sort: of the results.
        key: the secret for random choices.
    """
    of, start = items.c, start_of(document.id, key)
    found: list[Appearance] = []
    for part in (of.document_id >= start, of.document_id < start):
        if len(found) < NEAR:
            query = _of_others(document, sort).where(UNSURE, part)
            query = query.order_by(of.document_id, of.id).limit(NEAR - len(found))
            found += [Appearance._make(row) for row in session.execute(query)]
    return found


def least_sure(
    session: Session, document: Document, kind: str, adapter: str
) -> Iterator[Appearance]:
    """Yield the least certain accepted result of each category in other documents.

    Each needs one index look-up.
    """
    of, last = items.c, None
    while True:
        query = _of_others(document, Sort(kind, adapter, None)).where(SURE)
        if last is not None:
            query = query.where(of.category > last)
        row = session.execute(query.order_by(of.category, of.confidence).limit(1)).one_or_none()
        if row is None:
            return
        yield (appearance := Appearance._make(row))
        last = appearance.category


def shown_before(session: Session, document: Document) -> dict[str, Shown]:
    """Return the earlier shown values of a document's samples, by result id."""
    query = sa.select(*(shown.c[name] for name in Shown._fields)).where(
        shown.c.tenant == document.tenant, shown.c.document_id == document.id
    )
    return {row.result_id: Shown._make(row) for row in session.execute(query)}


def store_shown(session: Session, new: Iterable[Item]) -> None:
    """Store the shown values of the samples among these items."""
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


def _of_others(document: Document, sort: Sort) -> sa.Select[Any]:
    of = items.c
    query = sa.select(*_COLUMNS, of.proposal.is_not(None)).where(
        of.tenant == document.tenant,
        of.kind == sort.kind,
        of.adapter == sort.adapter,
        of.document_id != document.id,
        of.origin == "model",
    )
    return query if sort.category is None else query.where(of.category == sort.category)
