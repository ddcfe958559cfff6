"""One function for each event that extraction reacts to."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from services.extraction.domain import (
    Extraction,
    FoundClause,
    Pass,
    State,
    in_order,
    refuse_too_long,
    routed,
    searched,
    searched_by_all,
    with_evidence,
)
from services.extraction.pipeline import search, usually_above
from services.extraction.questions import (
    OWNER,
    Asked,
    Doubt,
    batches,
    doubts,
    escalated,
    for_people,
    request_of,
    worth_asking,
)
from services.extraction.routing import (
    believed,
    least_of,
    left,
    missed_in,
    promised,
    routes,
    stated_missed,
    stated_risk,
)
from services.extraction.store import Extractions
from services.extraction.store import extractions as extractions_table
from services.extraction.watch import watching
from services.extraction.watch.store import Watches
from shared import metrics
from shared.asking import Askers, AskRules, others_than
from shared.documents import Reading
from shared.errors import DocumentTooLarge, SuiteError
from shared.events import (
    AdapterVersion,
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    Kind,
    ReviewDecided,
)
from shared.inference import MissingAdapter, Specialist
from shared.policy import RiskRules, Risks
from shared.storage import BlobStore, MissingBlob, UnitOfWork
from shared.storage.deletion import is_cancelled, is_deleted, mark_deleted, ref_of
from shared.storage.secret import draw_key
from shared.storage.sharing import held_by, others_with
from shared.storage.watches import Notice
from shared.tracing import span
from shared.watch.local import Local, version_and_level, version_and_own
from shared.watch.others import LeftOf
from shared.watch.watching import announce, share_of

log = logging.getLogger(__name__)


def expect_document(event: DocumentIngested, uow: UnitOfWork) -> None:
    """Remember that a document, or a new attempt at it, is on its way."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and (known.state == "deleted" or known.attempt >= event.attempt):
            return
        new = Extraction(event.tenant, event.document_id, event.kind, event.attempt)
        extractions.save(replace(new, blobs=known.blobs, own=known.own) if known else new)


def extract_clauses(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    specialist: Callable[[str], Specialist],
    adapter: str,
    most_characters: int,
    risks: Risks,
    askers: Askers,
) -> None:
    """Find every clause of one contract, keep it with its evidence, and announce it.

    Args:
        specialist: gives one by its name.
        adapter: name of the specialist that reads what nobody named one for.
        risks: what each tenant lets the machine accept.
        askers: whom each tenant may ask about the rest.
    """
    if event.kind != "contract":
        _note_kind(event, uow, blobs)
        return
    if not _counts(event, uow, blobs):
        return
    try:
        reading = _reading(event, blobs)
        refuse_too_long(reading.text, most_characters)
    except MissingBlob:
        if not is_deleted(blobs, event.tenant, event.document_id):
            raise
        log.info("deleted before its clauses were found")
        return
    except DocumentTooLarge as error:
        _keep_failure(event, uow, error)
        return
    try:
        with span("load specialists"):
            experts = [specialist(name) for name in dict.fromkeys(event.adapters) or (adapter,)]
    except MissingAdapter as error:
        if not event.adapters:
            raise  # our own is being exchanged
        _keep_failure(event, uow, error)
        return
    rules, asks = risks.of(event.tenant), askers.of(event.tenant)
    with uow.store.read() as session:
        key, watches = draw_key(session), Watches(session, event.tenant)
        here = [watches.local(e.manifest.name, e.manifest.version) for e in experts]
    read = [
        _read_by(expert, local, reading, event, rules, asks, key)
        for expert, local in zip(experts, here, strict=True)
    ]
    passes, readers = [one.passed for one in read], [one.reader for one in read]
    found = in_order(clause for one in read for clause in one.routed.clauses)
    unsure = [doubt for one in read for doubt in one.asked]
    questions = list(batches(unsure, reading.text, event.text, found, _may_be(event)))
    listed = json.dumps([clause.to_json() for clause in found], ensure_ascii=False).encode()
    written = [listed, *(one.to_bytes() for batch in questions for one in batch)]
    if not _note_blobs(event, uow, *(ref_of(data, OWNER) for data in written)):
        return
    watched = [one.routed for one in read]
    with span("keep clauses"):
        ref, *_ = [blobs.put(event.tenant, data) for data in written]
        _keep_clauses(event, uow, blobs, passes, readers, found, ref, questions, watched, key)


@dataclass(frozen=True)
class _Read:
    """What one specialist found in a document, and what of it is asked about."""

    passed: Pass
    reader: AdapterVersion
    routed: watching.Routed
    asked: Sequence[Doubt]


def _read_by(
    expert: Specialist,
    local: Local,
    reading: Reading,
    event: DocumentRead,
    rules: RiskRules,
    asks: AskRules,
    key: bytes,
) -> _Read:
    """Let a specialist read, and say of each clause what is done with it; `key` draws checks."""
    name, version = expert.manifest.name, expert.manifest.version
    began = time.monotonic()
    with span(f"infer {name}", {"smallprint.adapter_version": version}) as infers:
        showing = stated_missed(expert, rules)
        above = showing.above if showing else None
        result = search(reading.text, expert, skip=reading.furniture, above=above)
        infers.set({"smallprint.tokens": result.tokens, "smallprint.found": len(result.clauses)})
    reader = AdapterVersion(
        name=name,
        version=version,
        seconds=time.monotonic() - began,
        tokens=result.tokens,
        quoted=result.quoted,
    )
    metrics.tokens_total.labels(name).inc(result.tokens)
    stated = stated_risk(expert, result, rules, local, event.kind_unsure)
    looked = replace(searched(result, reading), kind_unsure=event.kind_unsure)
    named = (event.tenant, event.document_id, name)
    ways = routes(result.clauses, reading, stated)
    evident = with_evidence(result.clauses, reading, *named)
    share = share_of(rules.sample_share, local)
    own = list(routed(evident, ways, share, key))
    unsure = doubts(own, looked, believed(expert, local), named)
    if rules.trust == "measured":  # whoever is asked about may be accepted by what a model says
        usual = usually_above(expert)
        unsure = [one for one in unsure if not for_people(one, reading, local, usual)]
        unsure = [] if event.kind_unsure else unsure
    asked = worth_asking(unsure, asks, rules, len(reading.text), _may_be(event))
    mine = list(escalated(own, asked))
    unlike = bool(looked.warnings) or event.kind_unsure
    data = local.data or expert.guarantee
    rest = left(data, rules, local.doubted) if data and stated and stated.belief else None
    kept = watching.Routed(expert, mine, stated, local, share, unlike, rest)
    missed = missed_in(showing, result, reading, event.kind_unsure)
    return _Read(Pass(name, version, looked, stated, missed), reader, kept, asked)


def _may_be(event: DocumentRead) -> tuple[Kind, ...]:
    """Of which other kinds a document may be: a private letter, say, which stays in the house."""
    return others_than("contract", event.kind_unsure)


def note_decision(
    event: ReviewDecided,
    uow: UnitOfWork,
    specialist: Callable[[str], Specialist],
    risks: Risks,
) -> None:
    """Count what a person decided about a clause; where that puts a promise in doubt, less is
    accepted from now on.
    """
    if event.stage != "extraction" or not event.document_id:
        return
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        found = extractions.find(event.document_id, event.result_id)
        if known is None or found is None or (event.wrong is None and event.verdict != "undo"):
            return
        version = next((p.version for p in known.passes if p.adapter == found.adapter), "")
        watches = Watches(uow.session, event.tenant)
        left_of = partial(_left_of, watches, found.adapter, specialist, risks.of(event.tenant))
        told = watching.note_decision(
            watches, found, event.document_id, version, event.wrong, left_of
        )
    announce(told)


def _left_of(
    watches: Watches,
    adapter: str,
    specialist: Callable[[str], Specialist],
    rules: RiskRules,
    promise: str,
) -> LeftOf:
    """What says from which belief on is accepted without the categories in doubt, by the set that a
    promise was made from; None where that is not at hand any more.
    """

    def found(doubted: Collection[str]) -> float | None:
        watch, made = watches.kept(adapter).watch, version_and_level(promise)
        try:
            expert = specialist(adapter)
        except SuiteError:
            return None
        version = expert.manifest.version
        local = watches.local(adapter, version)
        data = local.data or expert.guarantee
        same = version_and_own(promise) == (version, str(local.number))
        if watch is None or made is None or data is None or not same:
            return None
        never = tuple(sorted({*rules.always_person, *doubted}))
        return least_of(promised(data, watch.risk, made[1], never))

    return found


def note_failure(event: DocumentFailed, uow: UnitOfWork) -> None:
    """Remember why a document has no clauses, if it was given up before or while we worked. If
    somebody stopped the work, what was found does not count either.
    """
    if event.stage not in ("ingest", "extraction"):
        return
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if event.cancels:
            _stop(extractions, event, known)
        elif known and known.state == "waiting" and known.attempt == event.attempt:
            if known.is_early:
                extractions.replace_clauses(event.document_id, [])
            extractions.save(replace(known, passes=()).failed(event.code, event.reason))


def withdraw_clauses(event: DocumentRekinded, uow: UnitOfWork) -> None:
    """The document is of another kind: what was found under the old one no longer counts."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known is None or known.state == "deleted" or event.kind == event.previous:
            return
        attempt = event.attempt or known.attempt
        if event.attempt and known.attempt >= event.attempt:
            return  # what begins with it has begun already
        state: State = "waiting" if event.attempt and event.kind == "contract" else "withdrawn"
        extractions.replace_clauses(event.document_id, [])
        extractions.save(
            replace(
                known,
                kind=event.kind,
                attempt=attempt,
                state=state,
                code=None,
                reason=None,
                passes=(),
            )
        )


def forget_document(event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remove the clauses and their blobs; the id alone stays, so that late news does nothing."""
    others = _others_with_questions(event, uow)
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        extractions.replace_clauses(event.document_id, [])
        Watches(uow.session, event.tenant).forget_open(event.document_id)
        extractions.save(Extraction(event.tenant, event.document_id, "other", 1, state="deleted"))
        mark_deleted(blobs, event.tenant, event.document_id)
        held = held_by(uow.session, extractions_table, event.tenant, others)
        for ref in known.blobs if known else ():  # before the commit: a crash does it again
            if ref.sha256 not in held:
                _remove(blobs, event.tenant, ref)


def _others_with_questions(event: DocumentDeleted, uow: UnitOfWork) -> Sequence[str]:
    """Documents that have a question of this one, as an older program asked it of both."""
    with uow.store.read() as session:
        known = Extractions(session, event.tenant).get(event.document_id)
        noted = {ref.sha256 for ref in known.blobs} - known.own if known else set[str]()
        return others_with(session, extractions_table, event.tenant, event.document_id, noted)


def _stop(extractions: Extractions, event: DocumentFailed, known: Extraction | None) -> None:
    known = known or Extraction(event.tenant, event.document_id, "other", event.attempt)
    if known.state == "deleted" or known.attempt > event.attempt:
        return
    extractions.replace_clauses(event.document_id, [])
    stopped = replace(known, attempt=event.attempt, passes=())
    extractions.save(stopped.failed(event.code, event.reason))


def _note_kind(event: DocumentRead, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remember that its text shows a document to be none of ours, which its type did not tell."""
    if not _counts(event, uow, blobs):
        return
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and known.awaits(event.attempt) and known.kind != event.kind:
            if known.is_early:
                extractions.replace_clauses(event.document_id, [])
                known = replace(known, passes=())
            extractions.save(replace(known, kind=event.kind, attempt=event.attempt))


def _counts(event: DocumentRead, uow: UnitOfWork, blobs: BlobStore) -> bool:
    with uow.store.read() as session:
        known = Extractions(session, event.tenant).get(event.document_id)
    if known is not None and not known.awaits(event.attempt):
        return False
    return not is_cancelled(blobs, event.tenant, event.document_id, event.attempt)


def _reading(event: DocumentRead, blobs: BlobStore) -> Reading:
    text = blobs.get(event.tenant, event.text).decode()
    return Reading.from_bytes(blobs.get(event.tenant, event.layout), text)


def _note_blobs(event: DocumentRead, uow: UnitOfWork, *refs: BlobRef) -> bool:
    """Remember blobs before they are written, so that a deletion finds them whatever happens.

    Returns whether the work still counts.
    """
    with uow.store.write() as session:
        extractions = Extractions(session, event.tenant)
        known = extractions.get(event.document_id)
        if known is None:
            known = Extraction(event.tenant, event.document_id, event.kind, event.attempt)
        if not known.awaits(event.attempt):
            return False  # deleted or begun anew while we read
        extractions.save(known.noting(refs))
        return True


def _keep_clauses(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    passes: Sequence[Pass],
    readers: Sequence[AdapterVersion],
    found: list[FoundClause],
    ref: BlobRef,
    questions: Sequence[Sequence[Asked]],
    watched: Sequence[watching.Routed],
    key: bytes,
) -> None:
    told: list[Notice] = []
    requests = [request_of(event, batch) for batch in questions]
    refs = {ref}.union(*({r.question, *(f.question for f in r.further)} for r in requests))
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and not known.awaits(event.attempt):
            if known.state == "deleted":
                for one in refs:
                    _remove(blobs, event.tenant, one)
            return
        before = known or Extraction(event.tenant, event.document_id, event.kind, event.attempt)
        noted = before.noting(refs)
        extractions.save(
            Extraction(
                tenant=event.tenant,
                document_id=event.document_id,
                kind=event.kind,
                attempt=event.attempt,
                state="extracted",
                blobs=noted.blobs,
                own=noted.own,
                passes=tuple(passes),
            )
        )
        extractions.replace_clauses(event.document_id, found)
        checks = [clause.id for clause in found if clause.sampled]
        Watches(uow.session, event.tenant).forget_open(event.document_id, checks)
        for read in sorted(watched, key=lambda one: one.expert.manifest.name):  # all lock alike
            watches = Watches(uow.session, event.tenant)
            told += watching.note_clauses(watches, event.document_id, read, key)
        together = searched_by_all(passes)
        uow.publish(
            ClausesExtracted(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=event.name,
                clauses=ref,
                count=len(found),
                accepted=sum(clause.route == "accept" for clause in found),
                sampled=tuple(clause.id for clause in found if clause.sampled),
                adapter=passes[0].adapter,
                adapter_version=passes[0].version,
                adapters=tuple(readers),
                warnings=together.warnings if together else (),
                attempt=event.attempt,
            )
        )
        for request in requests:  # behind the clauses, so that what is answered finds its item
            uow.publish(request)
    announce(told)
    for clause in found:
        metrics.clauses_total.labels(clause.route).inc()


def _keep_failure(event: DocumentRead, uow: UnitOfWork, error: SuiteError) -> None:
    """An expected end, not a dead letter: the document says it, and everybody hears it."""
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known and not known.awaits(event.attempt):
            return
        known = known or Extraction(event.tenant, event.document_id, event.kind, event.attempt)
        extractions.replace_clauses(event.document_id, [])
        failed = replace(known, kind=event.kind, attempt=event.attempt, passes=())
        extractions.save(failed.failed(error.code, error.message))
        uow.publish(
            DocumentFailed(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                stage="extraction",
                code=error.code,
                reason=error.message,
                attempt=event.attempt,
            )
        )


def _remove(blobs: BlobStore, tenant: str, ref: BlobRef) -> None:
    if ref.size > len("[]"):  # the empty list is everybody's
        blobs.delete(tenant, ref)
