"""Documents as REST shows them."""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.domain import Document
from services.ingest.schemas import DocumentView
from services.ingest.store import Documents
from shared.storage import Store


def view(store: Store, tenant: str, document: Document) -> DocumentView:
    """One document, with what it lies in and what lies in it."""
    return views(store, tenant, [document])[0]


def views(store: Store, tenant: str, items: Sequence[Document]) -> list[DocumentView]:
    """Documents of a tenant, with what they lie in and what lies in them."""
    with store.read() as session:
        families = Documents(session, tenant).families([item.id for item in items])
    return [DocumentView.of(item, families[item.id]) for item in items]
