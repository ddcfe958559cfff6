"""One function for each event that extraction reacts to."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from services.extraction import domain
from services.extraction.analysis import ContractAnalysis, TenantPolicy, analyse
from services.extraction.monitoring import monitor
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.pipeline.search import search
from services.extraction.pipeline.warnings import shown_warnings
from services.extraction.routing.routes import min_belief, risk_guarantee
from services.extraction.store import Extractions
from shared import metrics
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_deleted
from shared.documents import ParsedDocument
from shared.errors import DocumentTooLarge, SuiteError
from shared.events import (
    ClausesExtracted,
    DocumentDeleted,
    DocumentRead,
    DocumentReclassified,
    Event,
    FirstPagesRead,
    ReviewDecided,
)
from shared.inference import MissingAdapter, Specialist
from shared.messaging import UnitOfWork
from shared.monitoring.monitor import publish_notices
from shared.monitoring.store import MonitoringNotice, RemainingBelief
from shared.monitoring.tenant_calibration import version_and_level, version_and_tenant_part
from shared.policy.escalation_value import EscalationRules
from shared.policy.rules import RiskPolicy, RiskRules
from shared.projection import Projection
from shared.storage.secret import draw_key
from shared.tracing import span

log = logging.getLogger(__name__)


def _forget_clauses(event: Event, uow: UnitOfWork) -> None:
    Extractions(uow.session, event.tenant).replace_clauses(event.document_id, [])


DOCUMENTS = Projection("extraction", "contract", Extractions, _forget_clauses)


def extract_clauses(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    specialist: Callable[[str], Specialist],
    adapter: str,
    most_characters: int,
    risks: RiskPolicy,
    askers: EscalationRules,
) -> None:
    """Find every clause of one contract, store it with its evidence, and announce it.

    Args:
        specialist: gives one by its name.
        adapter: name of the specialist to use if the event names none.
        most_characters: a longer text fails.
    """
    if event.kind != "contract":
        DOCUMENTS.note_kind(event, uow, blobs)
        return
    if not DOCUMENTS.still_wanted(event, uow, blobs):
        return
    try:
        text = blobs.get(event.tenant, event.text).decode()
        document = ParsedDocument.from_bytes(blobs.get(event.tenant, event.layout), text)
        domain.limit_length(document.text, most_characters)
        with span("load specialists"):
            experts = [specialist(name) for name in dict.fromkeys(event.adapters) or (adapter,)]
    except MissingBlob:
        if not is_deleted(blobs, event.tenant, event.document_id):
            raise
        log.info("deleted before its clauses were found")
        return
    except (DocumentTooLarge, MissingAdapter) as error:
        if isinstance(error, MissingAdapter) and not event.adapters:
            raise  # the default specialist is being replaced
        DOCUMENTS.fail(event, uow, error.code, error.message)
        return
    with uow.store.read() as session:
        watches = MonitoringStore(session, event.tenant)
        policy = TenantPolicy(
            risks.of(event.tenant), askers.of(event.tenant), key=draw_key(session)
        )
        calibrated = [
            (e, watches.tenant_calibration(e.manifest.name, e.manifest.version)) for e in experts
        ]
    analysis = analyse(event, document, calibrated, policy)
    if DOCUMENTS.note_blobs(event, uow, analysis.refs):
        with span("keep clauses"):
            for data in analysis.blobs:
                blobs.put(event.tenant, data)
            _store(event, uow, blobs, analysis, policy.key)


def _store(
    event: DocumentRead, uow: UnitOfWork, blobs: BlobStore, analysis: ContractAnalysis, key: bytes
) -> None:
    notices: list[MonitoringNotice] = []
    sampled = tuple(clause.id for clause in analysis.clauses if clause.sampled)
    with uow:
        record = DOCUMENTS.finished(event, uow, blobs, analysis.refs)
        if record is None:
            return
        extractions = Extractions(uow.session, event.tenant)
        extractions.save(replace(record, passes=analysis.passes))
        extractions.replace_clauses(event.document_id, analysis.clauses)
        watches = MonitoringStore(uow.session, event.tenant)
        watches.delete_undecided(event.document_id, sampled)
        # sorted, so that all transactions lock in the same order
        for result in sorted(analysis.results, key=lambda result: result.expert.manifest.name):
            notices += monitor.note_clauses(watches, event.document_id, result, key)
        uow.publish(
            ClausesExtracted(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=event.name,
                clauses=analysis.refs[0],
                count=len(analysis.clauses),
                accepted=sum(clause.route == "accept" for clause in analysis.clauses),
                sampled=sampled,
                adapter=analysis.passes[0].adapter,
                adapter_version=analysis.passes[0].version,
                adapters=tuple(result.reader for result in analysis.results),
                warnings=shown_warnings(
                    domain.combined_record(analysis.passes).warnings, event.media_type
                ),
                attempt=event.attempt,
                title=analysis.refs[2] if analysis.title else None,
                searched=analysis.refs[1],
            )
        )
        for request in analysis.requests(event):  # after the clauses: an answer finds its item
            uow.publish(request)
    publish_notices(notices)
    for clause in analysis.clauses:
        metrics.clauses_total.labels(clause.route).inc()


def extract_first_pages(
    event: FirstPagesRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    specialist: Callable[[str], Specialist],
    adapter: str,
    most_bytes: int,
) -> None:
    """Find provisional clauses of a long contract's first pages, while its other pages are read.

    Nothing is announced or asked about them. The result of the whole document replaces them.

    Args:
        most_bytes: of text; a longer one waits for the whole document.
    """
    if event.text.size > most_bytes:
        log.info("no clauses of the first pages", extra={"reason": "their text is too long"})
        return
    with uow.store.read() as session:
        known = Extractions(session, event.tenant).get(event.document_id)
    if not _is_waiting(known, event) or not DOCUMENTS.still_wanted(event, uow, blobs):
        return
    try:
        text = blobs.get(event.tenant, event.text).decode()
        experts = [specialist(name) for name in dict.fromkeys(event.adapters) or (adapter,)]
    except (MissingBlob, MissingAdapter) as error:
        log.info("no clauses of the first pages", extra={"reason": error.message})
        return
    passes: list[domain.Pass] = []
    found: list[domain.ExtractedClause] = []
    for expert in experts:
        name, version = expert.manifest.name, expert.manifest.version
        with span(f"infer {name}", {"smallprint.adapter_version": version}) as infers:
            result = search(text, expert)
            infers.set({"smallprint.tokens": result.tokens})
        metrics.tokens_total.labels(name).inc(result.tokens)
        passes.append(
            domain.Pass(name, version, domain.SearchRecord(len(text), len(event.pages), (), ()))
        )
        owner = (event.tenant, event.document_id, name)
        found += domain.add_evidence(result.clauses, owner, partial(_page_at, event))
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        known = extractions.get(event.document_id)
        if known is None or not _is_waiting(known, event):
            return
        extractions.save(replace(known, passes=tuple(passes)))
        extractions.replace_clauses(event.document_id, domain.sort_by_position(found))


def _is_waiting(known: domain.Extraction | None, event: FirstPagesRead) -> bool:
    return known is not None and known.state == "waiting" and known.attempt == event.attempt


def _page_at(event: FirstPagesRead, offset: int) -> int:
    return event.pages[bisect_right(event.starts, offset) - 1]


def note_decision(
    event: ReviewDecided,
    uow: UnitOfWork,
    specialist: Callable[[str], Specialist],
    risks: RiskPolicy,
) -> None:
    """Count a person's decision about a clause in the monitoring of its guarantee.

    A clause that a person added says nothing about accepted ones.
    """
    if event.stage != "extraction" or event.origin == "person" or not event.document_id:
        return
    with uow:
        extractions = Extractions(uow.session, event.tenant)
        record = extractions.get(event.document_id)
        clause = extractions.find(event.document_id, event.result_id)
        if record is None or clause is None or (event.wrong is None and event.verdict != "undo"):
            return
        version = next((p.version for p in record.passes if p.adapter == clause.adapter), "")
        watches = MonitoringStore(uow.session, event.tenant)
        left_of = partial(_left_of, watches, clause.adapter, specialist, risks.of(event.tenant))
        notices = monitor.note_decision(
            watches, clause, event.document_id, version, event.wrong, left_of
        )
    publish_notices(notices)


def _left_of(
    watches: MonitoringStore,
    adapter: str,
    specialist: Callable[[str], Specialist],
    rules: RiskRules,
    guarantee: str,
) -> RemainingBelief:
    """A function that gives the threshold of belief without the categories in doubt.

    It gives None if the calibration set of the guarantee is no longer available.
    """

    def found(doubted: Collection[str]) -> float | None:
        watch, made = watches.state(adapter).test, version_and_level(guarantee)
        try:
            expert = specialist(adapter)
        except SuiteError:
            return None
        version = expert.manifest.version
        local = watches.tenant_calibration(adapter, version)
        data = local.data or expert.guarantee
        same = version_and_tenant_part(guarantee) == (version, str(local.number))
        if watch is None or made is None or data is None or not same:
            return None
        never = tuple(sorted({*rules.always_person, *doubted}))
        return min_belief(risk_guarantee(data, watch.risk, made[1], never))

    return found


def withdraw_clauses(event: DocumentReclassified, uow: UnitOfWork) -> None:
    """Forget the clauses of a document whose kind was corrected."""
    with uow:
        DOCUMENTS.withdraw(event, uow)


def forget_document(event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remove the clauses of a deleted document, their audit samples and their blobs."""
    with uow:
        MonitoringStore(uow.session, event.tenant).delete_undecided(event.document_id)
        DOCUMENTS.forget(event, uow, blobs)
