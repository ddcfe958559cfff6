"""One function for each event that escalation reacts to."""

from __future__ import annotations

import json
import logging
from datetime import UTC

from pydantic import ValidationError

from services.escalation.asking import Asker, Door, Outcome
from services.escalation.costs import Reading, Readings
from services.escalation.domain import Escalation, to_json
from services.escalation.store import Escalations
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
)
from shared.events.questions import Question
from shared.storage import BlobStore, MissingBlob, UnitOfWork
from shared.storage.deletion import is_cancelled, is_deleted, mark_deleted, ref_of

log = logging.getLogger(__name__)

OWNER = "escalation"
"""Whose the blobs are that are made here."""


def answer_request(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, door: Door
) -> None:
    """Ask the frontier as far as policy and budget allow, and tell what it proposes; nobody waits
    for what can't be answered.
    """
    closed = door.closed(event.tenant)
    if closed is None and _is_void(event, blobs):
        _forget_if_deleted(event, uow, blobs)
        return
    escalation = Escalation.of(event)
    with uow.store.write() as session:
        Escalations(session, event.tenant).begin(escalation)
    try:
        outcome = Outcome(None, closed) if closed else _outcome(event, escalation, blobs, door)
    except MissingBlob:
        if not _forget_if_deleted(event, uow, blobs):
            raise
        log.info("deleted before anything was asked")
        return
    if outcome.proposal is None:
        _keep(event, uow, blobs, escalation.unanswered(outcome.reason), None)
        return
    proposal = outcome.proposal.model_copy(update={"escalation": escalation.id})
    answered = escalation.answered(proposal, outcome.call_id)
    data = json.dumps(to_json(proposal), ensure_ascii=False).encode()
    ref = ref_of(data, OWNER)
    with uow.store.write() as session:  # noted before it is written, so that a deletion finds it
        escalations = Escalations(session, event.tenant)
        if not escalations.note_answer(escalation.id, ref):
            _forget(event, escalations, blobs)  # deleted while it was asked
            return
    blobs.put(event.tenant, data)
    _keep(event, uow, blobs, answered, ref)


def note_readings(event: ClausesExtracted, uow: UnitOfWork) -> None:
    """Remember what specialists read and how long it took: that is what they cost. It says nothing
    of the document and stays when that is deleted, as the ledger does.
    """
    with uow:
        readings = Readings(uow.session, event.tenant)
        for one in event.read_by:
            if one.seconds is not None and one.tokens is not None:
                readings.note(
                    Reading(
                        tenant=event.tenant,
                        document_id=event.document_id,
                        attempt=event.attempt,
                        adapter=one.name,
                        version=one.version,
                        kind="contract",
                        day=event.time.astimezone(UTC).strftime("%Y-%m-%d"),
                        seconds=one.seconds,
                        tokens=one.tokens,
                        quoted=one.quoted or 0,
                    )
                )


def forget_document(event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remove what was asked and answered about a deleted document; the ledger has no words and
    stays.
    """
    with uow:
        _forget(event, Escalations(uow.session, event.tenant), blobs)


def _forget(
    event: DocumentDeleted | EscalationRequested, escalations: Escalations, blobs: BlobStore
) -> None:
    """What is answered while a document is deleted is kept after the deletion came by, so whoever
    finds it deleted does this as well.
    """
    gone = escalations.forget(event.document_id)
    if gone:
        mark_deleted(blobs, event.tenant, event.document_id)
    for ref in gone:  # before the commit: a crash does it again
        blobs.delete(event.tenant, ref)


def _forget_if_deleted(event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore) -> bool:
    """Whether the document is deleted; then nothing of it is left here."""
    if not is_deleted(blobs, event.tenant, event.document_id):
        return False
    with uow:
        _forget(event, Escalations(uow.session, event.tenant), blobs)
    return True


def _is_void(event: EscalationRequested, blobs: BlobStore) -> bool:
    """Whether nobody wants to know any more, or may: the document is deleted, the attempt is
    cancelled, or somebody said since that it is of another kind, of which words may not leave.
    """
    where = (blobs, event.tenant, event.document_id)
    return is_deleted(*where) or is_cancelled(*where, event.attempt)


def _outcome(
    event: EscalationRequested, escalation: Escalation, blobs: BlobStore, door: Door
) -> Outcome:
    try:
        question = Question.model_validate_json(blobs.get(event.tenant, event.question))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Outcome(None, f"the question can't be read: {where}: {first['msg']}")
    text = blobs.get(event.tenant, question.text).decode()
    asker = Asker(event.tenant, event.document_id, escalation.id, event.time)
    return door.ask(asker, question, text)


def _keep(
    event: EscalationRequested,
    uow: UnitOfWork,
    blobs: BlobStore,
    escalation: Escalation,
    ref: BlobRef | None,
) -> None:
    with uow:
        escalations = Escalations(uow.session, event.tenant)
        if not escalations.finish(escalation):
            if ref is not None:
                blobs.delete(event.tenant, ref)
            _forget(event, escalations, blobs)
            return  # deleted while it was asked
        uow.publish(
            EscalationAnswered(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                stage=event.stage,
                result_id=event.result_id,
                answer=ref,
                reason=escalation.reason or None,
                question=event.question,
                attempt=event.attempt,
            )
        )
