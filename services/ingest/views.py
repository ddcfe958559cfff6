"""Documents as REST shows them."""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.commands import Condition
from services.ingest.domain import Document
from services.ingest.schemas import DocumentView
from services.ingest.store import Documents
from shared.storage import Store
from shared.web.conditional import require_match


def view(store: Store, tenant: str, document: Document) -> DocumentView:
    """One document, with what it lies in and what lies in it."""
    return views(store, tenant, [document])[0]


def views(store: Store, tenant: str, items: Sequence[Document]) -> list[DocumentView]:
    """Documents of a tenant, with what they lie in and what lies in them."""
    with store.read() as session:
        return _shown(Documents(session, tenant), items)


def unchanged(if_match: str | None) -> Condition:
    """The condition that a document is still as its caller knows it, by the tag that was shown."""

    def check(documents: Documents, document: Document) -> None:
        if if_match is not None:
            [now] = _shown(documents, [document])
            require_match(now.etag, if_match, document.id)

    return check


def _shown(documents: Documents, items: Sequence[Document]) -> list[DocumentView]:
    families = documents.families([item.id for item in items])
    return [DocumentView.of(item, families[item.id]) for item in items]
