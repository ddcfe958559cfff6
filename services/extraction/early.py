"""The clauses of a long contract's first pages, while its other pages are still read.

They are provisional: nobody is asked about them, nothing is announced, and whatever comes of the
whole document takes their place.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence

from services.extraction.domain import (
    Extraction,
    FoundClause,
    Pass,
    Searched,
    clause_id,
    in_order,
)
from services.extraction.pipeline import Search, search
from services.extraction.store import Extractions
from shared import metrics
from shared.events import DocumentBegun
from shared.inference import MissingAdapter, Specialist
from shared.storage import BlobStore, MissingBlob, UnitOfWork
from shared.storage.deletion import is_cancelled
from shared.tracing import span

log = logging.getLogger(__name__)


def find_early(
    event: DocumentBegun,
    uow: UnitOfWork,
    blobs: BlobStore,
    specialist: Callable[[str], Specialist],
    adapter: str,
    most_bytes: int,
) -> None:
    """Find the clauses of the first pages; nothing where the whole document is read by now.

    Args:
        specialist: gives one by its name.
        adapter: name of the specialist that reads what nobody named one for.
        most_bytes: of text; more is left to the whole document, which is searched beside others.
    """
    if event.text.size > most_bytes:
        log.info("no clauses of the first pages", extra={"reason": "their text is too long"})
        return
    with uow.store.read() as session:
        known = Extractions(session, event.tenant).get(event.document_id)
    if not _waits(known, event) or is_cancelled(
        blobs, event.tenant, event.document_id, event.attempt
    ):
        return
    try:
        text = blobs.get(event.tenant, event.text).decode()
        experts = [specialist(name) for name in dict.fromkeys(event.adapters) or (adapter,)]
    except (MissingBlob, MissingAdapter) as error:
        log.info("no clauses of the first pages", extra={"reason": error.message})
        return
    passes: list[Pass] = []
    found: list[FoundClause] = []
    for expert in experts:
        name, version = expert.manifest.name, expert.manifest.version
        with span(f"infer {name}", {"smallprint.adapter_version": version}) as infers:
            result = search(text, expert)
            infers.set({"smallprint.tokens": result.tokens})
        metrics.tokens_total.labels(name).inc(result.tokens)
        passes.append(Pass(name, version, Searched(len(text), len(event.pages), (), ())))
        found += _placed(result, event, name)
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known is None or not _waits(known, event):
            return
        extractions.save(known.looked_at(passes))
        extractions.replace_clauses(event.document_id, in_order(found))


def _waits(known: Extraction | None, event: DocumentBegun) -> bool:
    return known is not None and known.state == "waiting" and known.attempt == event.attempt


def _placed(result: Search, event: DocumentBegun, adapter: str) -> Sequence[FoundClause]:
    """With id and page; boxes come with the whole document."""
    return [
        FoundClause(
            id=clause_id(event.tenant, event.document_id, adapter, clause),
            adapter=adapter,
            category=clause.category,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            page=event.pages[bisect_right(event.starts, clause.start) - 1],
            confidence=clause.confidence,
        )
        for clause in result.clauses
    ]
