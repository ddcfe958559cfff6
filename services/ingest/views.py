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
    """Return one document with its parents and parts."""
    return views(store, tenant, [document])[0]


def views(store: Store, tenant: str, items: Sequence[Document]) -> list[DocumentView]:
    """Return documents of a tenant with their parents and parts."""
    with store.read() as session:
        return _shown(Documents(session, tenant), items)


def unchanged(if_match: str | None) -> Condition:
    """Return the condition that a document still has the tag in `If-Match`."""

    def check(documents: Documents, document: Document) -> None:
        if if_match is not None:
            [now] = _shown(documents, [document])
            require_match(now.etag, if_match, document.id)

    return check


def _shown(documents: Documents, items: Sequence[Document]) -> list[DocumentView]:
    families = documents.families([item.id for item in items])
    return [DocumentView.of(item, families[item.id]) for item in items]
