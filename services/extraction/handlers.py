"""One function for each event that extraction reacts to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from services.extraction.domain import Extraction, with_evidence
from services.extraction.pipeline import find_clauses
from services.extraction.store import Extractions
from shared import metrics
from shared.documents import Reading
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
)
from shared.inference import Specialist
from shared.storage import BlobStore, UnitOfWork


def expect_document(event: DocumentIngested, uow: UnitOfWork) -> None:
    """Remember that a document, or a new attempt at it, is on its way."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and (known.state == "deleted" or known.attempt >= event.attempt):
            return
        blobs = known.blobs if known else ()
        extractions.save(
            Extraction(event.tenant, event.document_id, event.kind, event.attempt, blobs=blobs)
        )


def extract_clauses(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    specialist: Callable[[], Specialist],
) -> None:
    """Find every clause of one contract, keep it with its evidence, and announce it."""
    if event.kind != "contract" or not _counts(event, uow):
        return
    text = blobs.get(event.tenant, event.text).decode()
    reading = Reading.from_bytes(blobs.get(event.tenant, event.layout), text)
    expert = specialist()
    clauses = find_clauses(text, expert, skip=reading.furniture)
    found = with_evidence(clauses, reading, event.tenant, event.document_id)
    listed = json.dumps([clause.to_json() for clause in found], ensure_ascii=False)
    ref = blobs.put(event.tenant, listed.encode())
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and not known.awaits(event.attempt):
            return  # deleted or begun anew while we read
        extractions.save(
            Extraction(
                tenant=event.tenant,
                document_id=event.document_id,
                kind=event.kind,
                attempt=event.attempt,
                state="extracted",
                adapter=expert.manifest.name,
                adapter_version=expert.manifest.version,
                blobs=tuple({*(known.blobs if known else ()), ref}),
            )
        )
        extractions.replace_clauses(event.document_id, found)
        uow.publish(
            ClausesExtracted(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=event.name,
                clauses=ref,
                count=len(found),
                adapter=expert.manifest.name,
                adapter_version=expert.manifest.version,
                attempt=event.attempt,
            )
        )
    metrics.clauses_total.labels("review").inc(len(found))


def note_failure(event: DocumentFailed, uow: UnitOfWork) -> None:
    """Remember why a document has no clauses, if it was given up before or while we worked."""
    if event.stage not in ("ingest", "extraction"):
        return
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and known.state == "waiting" and known.attempt == event.attempt:
            extractions.save(known.failed(event.code, event.reason))


def withdraw_clauses(event: DocumentRekinded, uow: UnitOfWork) -> None:
    """The document is of another kind: what was found under the old one no longer counts."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and known.state != "deleted":
            extractions.replace_clauses(event.document_id, [])
            extractions.save(replace(known, kind=event.kind, state="withdrawn"))


def forget_document(event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remove the clauses and their blobs; the id alone stays, so that late news does nothing."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        extractions.replace_clauses(event.document_id, [])
        extractions.save(Extraction(event.tenant, event.document_id, "other", 1, state="deleted"))
    for ref in known.blobs if known else ():
        if ref.size > len("[]"):  # the empty list is everybody's
            blobs.delete(event.tenant, ref)


def _counts(event: DocumentRead, uow: UnitOfWork) -> bool:
    with uow.store.read() as session:
        known = Extractions(session, event.tenant).get(event.document_id)
        return known is None or known.awaits(event.attempt)
