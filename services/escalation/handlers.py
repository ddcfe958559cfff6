"""One function for each event that escalation reacts to."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pydantic import ValidationError

from services.escalation.asking import Asker, Door, NotWanted, Waiting
from services.escalation.backlog.store import Backlog
from services.escalation.batches.batches import LONGEST
from services.escalation.costs import Reading, Readings
from services.escalation.decided import Decided
from services.escalation.domain import Escalation, Outcome, to_json
from services.escalation.hearing import TooLate
from services.escalation.ledger.store import praise
from services.escalation.providers.batches import HOURS
from services.escalation.store import Escalations
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    EscalationAnswered,
    EscalationRequested,
    FindingsFound,
)
from shared.events.questions import Question
from shared.storage import BlobStore, MissingBlob, Store, UnitOfWork, end_put_off
from shared.storage.deletion import is_cancelled, is_deleted, mark_deleted, ref_of

log = logging.getLogger(__name__)

OWNER = "escalation"
"""Whose the blobs are that are made here."""
FOR_A_BATCH = "it was too late to be asked at once, and waits for what a batch answers"
VOID = "nobody wants to know any more: the document is read anew, as another kind, or not at all"


def answer_request(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, door: Door, over: str = ""
) -> None:
    """Ask the frontier as far as policy and budget allow, and tell what it proposes; nobody waits
    for what can't be answered. What waited too long to be asked is kept for a batch where policy
    has one.

    Args:
        over: that it is not kept, and why what is not answered never will be.
    """
    closed = door.closed(event.tenant)
    asked = Escalation.each(event)
    if closed is None and is_void(event, blobs):
        _give_up(event, uow, blobs, asked)
        return
    with uow.store.write() as session:
        for escalation in asked:
            Escalations(session, event.tenant).begin(escalation)
    waiting: list[Waiting] | None = None if over else []
    try:
        outcomes = (
            [Outcome(None, closed)] * len(asked)
            if closed
            else _outcomes(event, asked, uow.store, blobs, door, waiting)
        )
    except NotWanted:
        _give_up(event, uow, blobs, asked)
        return
    except MissingBlob:
        if not _forget_if_deleted(event, uow, blobs):
            raise
        log.info("deleted before anything was asked")
        return
    if waiting:
        with uow.store.write() as session:
            Backlog(session).keep(event, door.clock())
            until = datetime.now(UTC) + door.patience + HOURS + LONGEST
            uow.put_off(session, until, FOR_A_BATCH)
        return
    if over:
        outcomes = [replace(o, reason=over) if o.reason == TooLate.message else o for o in outcomes]
    ended = [one.with_outcome(outcome) for one, outcome in zip(asked, outcomes, strict=True)]
    data = [_written(one) for one in ended]
    with uow.store.write() as session:  # noted before they are written, so that a deletion finds it
        escalations = Escalations(session, event.tenant)
        for one, kept in zip(ended, data, strict=True):
            if kept and not escalations.note_answer(one.id, ref_of(kept, OWNER)):
                _forget(event, escalations, blobs)  # deleted while it was asked
                return
    for kept in data:
        if kept:
            blobs.put(event.tenant, kept)
    _keep(event, uow, blobs, ended)


def left_to_ask(
    event: EscalationRequested, store: Store, blobs: BlobStore, door: Door
) -> list[Waiting]:
    """What of a request no answer is remembered for, where it is too late to ask it alone. What was
    answered well serves whoever asks the same from now on, also while the rest waits.

    Raises NotWanted or MissingBlob.
    """
    if is_void(event, blobs):
        raise NotWanted
    waiting: list[Waiting] = []
    outcomes = _outcomes(event, Escalation.each(event), store, blobs, door, waiting)
    if good := {one.call_id for one in outcomes if one.proposal and one.call_id}:
        with store.write() as session:
            for call_id in good:
                praise(session, event.tenant, call_id)
    return waiting


def end_without(event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, reason: str) -> None:
    """Nobody outside knows: a person is asked about all of it."""
    _keep(event, uow, blobs, [one.unanswered(reason) for one in Escalation.each(event)])


def _written(escalation: Escalation) -> bytes | None:
    """A proposal as it lies in the blob store."""
    if escalation.proposal is None:
        return None
    return json.dumps(to_json(escalation.proposal), ensure_ascii=False).encode()


def _give_up(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, asked: Sequence[Escalation]
) -> None:
    """Nobody is told anything, for nobody wants to know; what was begun is not left waiting."""
    if _forget_if_deleted(event, uow, blobs):
        return
    with uow:
        for escalation in asked:
            Escalations(uow.session, event.tenant).finish(escalation.unanswered(VOID))


def note_readings(event: ClausesExtracted | FindingsFound, uow: UnitOfWork) -> None:
    """Remember what specialists read and how long it took: that is what they cost. It says nothing
    of the document and stays when that is deleted, as the ledger does.
    """
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
    waiting = Backlog(escalations.session).forget(event.tenant, event.document_id)
    end_put_off(escalations.session, [one for one in waiting if one != event.id])
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


def is_void(event: EscalationRequested, blobs: BlobStore) -> bool:
    """Whether nobody wants to know any more, or may: the document is deleted, the attempt is
    cancelled, or somebody said since that it is of another kind, of which words may not leave.
    """
    where = (blobs, event.tenant, event.document_id)
    return is_deleted(*where) or is_cancelled(*where, event.attempt)


def _is_decided(store: Store, asked: Escalation) -> bool:
    """Whether a person has decided about a result since it was asked about."""
    with store.read() as session:
        return Decided(session, asked.tenant).since(
            asked.document_id, asked.stage, asked.result_id, asked.requested
        )


def _outcomes(
    event: EscalationRequested,
    asked: Sequence[Escalation],
    store: Store,
    blobs: BlobStore,
    door: Door,
    waiting: list[Waiting] | None,
) -> list[Outcome]:
    """What comes of each question. Those that can be read are asked together."""
    refs = [event.question, *(more.question for more in event.further)]
    read = [_question(event, ref, blobs) for ref in refs]
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
        outcomes = door.ask_all(mine, text, waiting)
        came |= {
            asker.escalation_id: outcome for (asker, _), outcome in zip(mine, outcomes, strict=True)
        }
    return [
        one if isinstance(one, Outcome) else came[escalation.id]
        for escalation, one in zip(asked, read, strict=True)
    ]


def _question(event: EscalationRequested, ref: BlobRef, blobs: BlobStore) -> Question | Outcome:
    try:
        return Question.model_validate_json(blobs.get(event.tenant, ref))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Outcome(None, f"the question can't be read: {where}: {first['msg']}")


def _keep(
    event: EscalationRequested, uow: UnitOfWork, blobs: BlobStore, ended: Sequence[Escalation]
) -> None:
    refs = [event.question, *(more.question for more in event.further)]
    answers = [ref_of(data, OWNER) if (data := _written(one)) else None for one in ended]
    with uow:
        escalations = Escalations(uow.session, event.tenant)
        there = [escalations.finish(one) for one in ended]
        if not all(there):
            for ref in filter(None, answers):
                blobs.delete(event.tenant, ref)
            _forget(event, escalations, blobs)
            return  # deleted while it was asked
        for escalation, question, answer in zip(ended, refs, answers, strict=True):
            uow.publish(
                EscalationAnswered(
                    tenant=event.tenant,
                    document_id=event.document_id,
                    actor=event.actor,
                    stage=event.stage,
                    result_id=escalation.result_id,
                    answer=answer,
                    reason=escalation.reason or None,
                    question=question,
                    attempt=event.attempt,
                )
            )
