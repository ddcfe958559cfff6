"""Event handlers of escalation."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import partial

from pydantic import ValidationError

from services.escalation.costs import Reading, Readings
from services.escalation.decisions import KnownDecisions
from services.escalation.domain import Escalation, Outcome
from services.escalation.gateway import Asker, Gateway, Obsolete
from services.escalation.store import Escalations
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_cancelled, is_deleted, mark_deleted, ref_of
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
    FindingsFound,
)
from shared.events.questions import Proposal, Question
from shared.messaging import UnitOfWork
from shared.storage import Store

log = logging.getLogger(__name__)

OWNER = "escalation"  # the owner of the blobs
VOID = "the answer is not needed any more: the document was deleted, cancelled or reclassified"


def answer_request(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, gateway: Gateway
) -> None:
    """Ask frontier models within policy and budget, and publish their answers."""
    closed = gateway.closed(event.tenant)
    asked = Escalation.each(event)
    if closed is None and is_void(event, blobs):
        _give_up(event, uow, blobs, asked)
        return
    with uow.store.write() as session:
        for escalation in asked:
            Escalations(session, event.tenant).begin(escalation)
    try:
        outcomes = (
            [Outcome(None, closed)] * len(asked)
            if closed
            else _outcomes(event, asked, uow.store, blobs, gateway)
        )
    except Obsolete:
        _give_up(event, uow, blobs, asked)
        return
    except MissingBlob:
        if not _forget_if_deleted(event, uow, blobs):
            raise
        log.info("the document was deleted before a frontier model was asked")
        return
    ended = [one.with_outcome(outcome) for one, outcome in zip(asked, outcomes, strict=True)]
    data = {one.id: _encode(one.proposal) for one in ended if one.proposal}
    answers = {name: ref_of(blob, OWNER) for name, blob in data.items()}
    with uow.store.write() as session:  # note the blobs first, so that a deletion finds them
        escalations = Escalations(session, event.tenant)
        if not all(escalations.note_answer(name, ref) for name, ref in answers.items()):
            _forget(event, escalations, blobs)  # deleted while it was asked
            return
    for blob in data.values():
        blobs.put(event.tenant, blob)
    _finish(event, uow, blobs, ended, answers)


def _encode(proposal: Proposal) -> bytes:
    return json.dumps(proposal.model_dump(mode="json"), ensure_ascii=False).encode()


def _give_up(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, asked: Sequence[Escalation]
) -> None:
    """End obsolete questions without an event."""
    if _forget_if_deleted(event, uow, blobs):
        return
    with uow:
        for escalation in asked:
            ended = escalation.with_outcome(Outcome(None, VOID))
            Escalations(uow.session, event.tenant).finish(ended)


def note_readings(event: ClausesExtracted | FindingsFound, uow: UnitOfWork) -> None:
    """Store the work of specialists, from which their cost is computed. It survives a deletion."""
    kind, read_by = (
        ("contract", event.read_by)
        if isinstance(event, ClausesExtracted)
        else ("report", event.adapters)
    )
    with uow:
        readings = Readings(uow.session, event.tenant)
        for one in read_by:
            if one.seconds is not None and one.tokens is not None:
                readings.note(
                    Reading(
                        tenant=event.tenant,
                        document_id=event.document_id,
                        attempt=event.attempt,
                        adapter=one.name,
                        version=one.version,
                        kind=kind,
                        day=event.time.astimezone(UTC).strftime("%Y-%m-%d"),
                        seconds=one.seconds,
                        tokens=one.tokens,
                        quoted=one.quoted or 0,
                    )
                )


def forget_document(event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Delete questions and answers of a document. The ledger has no text and stays."""
    with uow:
        _forget(event, Escalations(uow.session, event.tenant), blobs)


def _forget(
    event: DocumentDeleted | EscalationRequested, escalations: Escalations, blobs: BlobStore
) -> None:
    """Delete the answers of a document, also those that came during its deletion."""
    gone = escalations.forget(event.document_id)
    if gone:
        mark_deleted(blobs, event.tenant, event.document_id)
    for ref in gone:  # before the commit, so that a crash repeats it
        blobs.delete(event.tenant, ref)


def _forget_if_deleted(event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore) -> bool:
    """Delete all data of a deleted document. Returns whether it is deleted."""
    if not is_deleted(blobs, event.tenant, event.document_id):
        return False
    with uow:
        _forget(event, Escalations(uow.session, event.tenant), blobs)
    return True


def is_void(event: EscalationRequested, blobs: BlobStore) -> bool:
    """Whether the document was deleted, or the attempt cancelled or replaced."""
    where = (blobs, event.tenant, event.document_id)
    return is_deleted(*where) or is_cancelled(*where, event.attempt)


def _is_decided(store: Store, asked: Escalation) -> bool:
    """Whether a person has decided a result since the question."""
    with store.read() as session:
        return KnownDecisions(session, asked.tenant).since(
            asked.document_id, asked.stage, asked.result_id, asked.requested
        )


def _outcomes(
    event: EscalationRequested,
    asked: Sequence[Escalation],
    store: Store,
    blobs: BlobStore,
    gateway: Gateway,
) -> list[Outcome]:
    """The outcome of each question."""
    read = [_question(event, ref, blobs) for ref in _questions(event)]
    questions = [
        (
            Asker(
                event.tenant,
                event.document_id,
                escalation.id,
                event.time,
                lambda: not is_void(event, blobs),
                partial(_is_decided, store, escalation),
            ),
            one,
        )
        for escalation, one in zip(asked, read, strict=True)
        if isinstance(one, Question)
    ]
    texts = {one.text.sha256: one.text for _, one in questions}
    came: dict[str, Outcome] = {}
    for ref in texts.values():
        text = blobs.get(event.tenant, ref).decode()
        mine = [pair for pair in questions if pair[1].text.sha256 == ref.sha256]
        outcomes = gateway.ask_all(mine, text)
        came |= {
            asker.escalation_id: outcome for (asker, _), outcome in zip(mine, outcomes, strict=True)
        }
    return [
        one if isinstance(one, Outcome) else came[escalation.id]
        for escalation, one in zip(asked, read, strict=True)
    ]


def _questions(event: EscalationRequested) -> list[BlobRef]:
    return [event.question, *(more.question for more in event.further)]


def _question(event: EscalationRequested, ref: BlobRef, blobs: BlobStore) -> Question | Outcome:
    try:
        return Question.model_validate_json(blobs.get(event.tenant, ref))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Outcome(None, f"the question can't be read: {where}: {first['msg']}")


def _finish(
    event: EscalationRequested,
    uow: UnitOfWork,
    blobs: BlobStore,
    ended: Sequence[Escalation],
    answers: Mapping[str, BlobRef],
) -> None:
    with uow:
        escalations = Escalations(uow.session, event.tenant)
        if not all(escalations.finish(one) for one in ended):
            for ref in answers.values():
                blobs.delete(event.tenant, ref)
            _forget(event, escalations, blobs)
            return  # deleted while it was asked
        for escalation, question in zip(ended, _questions(event), strict=True):
            uow.publish(
                EscalationAnswered(
                    tenant=event.tenant,
                    document_id=event.document_id,
                    actor=event.actor,
                    stage=event.stage,
                    result_id=escalation.result_id,
                    answer=answers.get(escalation.id),
                    reason=escalation.reason or None,
                    question=question,
                    attempt=event.attempt,
                )
            )
