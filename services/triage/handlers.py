"""The handlers of triage's events."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from services.triage.analysis import ReportAnalysis, TriageModels, labeller_for
from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.dismissals import Dismissals, dismissal_from
from services.triage.domain import Model, Report
from services.triage.monitoring import monitor
from services.triage.monitoring.store import MonitoringStore
from services.triage.reading.document import ReadFiling, read_document
from services.triage.reading.report import FactsReader, NoStatements
from services.triage.results import Results, Spools, announcement, usage_of
from services.triage.routing.questions import escalation_requests
from services.triage.routing.routing import Routing
from services.triage.statements.model import MAX_SENTENCE, BadFiling, truncate
from services.triage.store import Reports
from services.triage.withdrawal import DismissalWithdrawal
from shared import metrics
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_deleted
from shared.documents.model.parsed_document import ParsedDocument
from shared.errors import DocumentTooLarge, Unavailable, UnreadableDocument
from shared.events import (
    AdapterVersion,
    DocumentDeleted,
    DocumentRead,
    DocumentReclassified,
    Event,
    ReviewDecided,
)
from shared.messaging import UnitOfWork
from shared.monitoring.monitor import publish_notices
from shared.monitoring.store import MonitoringNotice
from shared.policy.escalation_value import EscalationRules
from shared.policy.rules import RiskPolicy
from shared.projection import Projection
from shared.storage.secret import draw_key
from shared.tracing import span

log = logging.getLogger(__name__)

NO_STATEMENTS = "no_statements"  # code of a report with narrative flags but without statements
UNREADABLE = "unreadable_report"
FILERS_KEPT = 100  # filers per document whose dismissals are cached


def _forget_findings(event: Event, uow: UnitOfWork) -> None:
    """Remove findings, notes of their filings, and undecided audit samples."""
    reports = Reports(uow.session, event.tenant)
    reports.replace_findings(event.document_id, [])
    reports.replace_filings(event.document_id, 0, [])
    MonitoringStore(uow.session, event.tenant).delete_undecided(event.document_id)


DOCUMENTS = Projection("triage", "report", Reports, _forget_findings)


@dataclass(frozen=True)
class ReportChecks:
    """The shared parts of the checks of all reports."""

    blobs: BlobStore
    most_characters: int  # longer texts fail
    models: TriageModels
    risks: RiskPolicy
    askers: EscalationRules
    count: Callable[[str], int]  # counts the tokens of a text


def triage_report(
    event: DocumentRead, uow: UnitOfWork, checks: ReportChecks, facts: FactsReader
) -> None:
    """Check every filing of a report, store and announce the results. `facts` reads its tags."""
    blobs, models = checks.blobs, checks.models
    if event.kind != "report":
        DOCUMENTS.note_kind(event, uow, blobs)
        return
    if not DOCUMENTS.still_wanted(event, uow, blobs):
        return
    began = time.monotonic()
    analysis = _begin_analysis(event, uow, checks)

    def usage(reader: Model) -> tuple[AdapterVersion, ...]:
        seconds = time.monotonic() - began
        return usage_of(event, blobs, reader, seconds, analysis, checks.count)

    with Spools.opened() as spools:
        try:
            with span("infer triage") as infers:
                for item in _filings(event, checks, facts):
                    spools.write(*analysis.add(item))
                counts = {"filings": len(analysis.filings), "found": len(analysis.findings)}
                infers.set({f"smallprint.{name}": value for name, value in counts.items()})
        except MissingBlob:
            if not is_deleted(blobs, event.tenant, event.document_id):
                raise
            log.info("deleted before it was checked")
        except DocumentTooLarge as error:
            DOCUMENTS.fail(event, uow, error.code, error.message)
        except NoStatements as error:
            analysis.read_narrative(error.reading)
            reader = models.narrative.model if models.narrative else models.judge
            results = Results(analysis, spools)
            _store_words(event, uow, blobs, results, error.message, usage(reader))
        except UnreadableDocument as error:
            DOCUMENTS.fail(event, uow, UNREADABLE, error.message)
        else:
            if analysis.filings:
                used = usage(models.judge)
                with span("keep findings"):
                    _store_findings(event, uow, blobs, Results(analysis, spools), used)
            else:
                reason = truncate("; ".join(analysis.shown_warnings), MAX_SENTENCE)
                DOCUMENTS.fail(event, uow, UNREADABLE, reason)


def _begin_analysis(event: DocumentRead, uow: UnitOfWork, checks: ReportChecks) -> ReportAnalysis:
    """An analysis without filings, with the data of the document and its tenant."""
    models = checks.models
    rules, asks = checks.risks.of(event.tenant), checks.askers.of(event.tenant)
    with uow.store.read() as session:
        watches = MonitoringStore(session, event.tenant)
        local = watches.tenant_calibration(NAME, models.judge.version)
        calibration = models.classifier.guarantee if models.classifier else None
        routing = Routing(rules, calibration, draw_key(session), asks, local, event.kind_unsure)
        decided = frozenset(watches.decided_of(event.document_id))

    @lru_cache(FILERS_KEPT)
    def dismissed(filer: str) -> Dismissals:
        with uow.store.read() as session:
            return Dismissals.of(Reports(session, event.tenant).dismissals(filer))

    labeller = labeller_for(event, models.labeller)
    models = replace(models, labeller=labeller)
    return ReportAnalysis(event.tenant, event.document_id, models, dismissed, routing, decided)


def _filings(
    event: DocumentRead, checks: ReportChecks, facts: FactsReader
) -> Iterator[ReadFiling | BadFiling]:
    """Read the filings of a report, one after the other."""

    def reading() -> ParsedDocument:
        """The document as ingest read it. Raises DocumentTooLarge for a text that takes hours."""
        text = checks.blobs.get(event.tenant, event.text).decode()
        if len(text) > checks.most_characters:
            raise DocumentTooLarge(
                f"the text has {len(text):,} characters, more than the "
                f"{checks.most_characters:,} that are searched for statements (setting "
                "SMALLPRINT_TRIAGE_MAX_CHARACTERS)"
            )
        return ParsedDocument.from_bytes(checks.blobs.get(event.tenant, event.layout), text)

    labeller = checks.models.labeller
    with checks.blobs.open(event.tenant, event.original) as source:
        yield from read_document(
            source,
            event.media_type,
            event.name,
            reading=reading,
            facts=facts,
            usual_lines=labeller.usual_lines if labeller else None,
        )


def _store_findings(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    results: Results,
    usage: tuple[AdapterVersion, ...],
) -> None:
    if not DOCUMENTS.note_blobs(event, uow, results.refs):
        return
    results.put(blobs, event.tenant)
    analysis = results.analysis
    findings, model = analysis.routed_findings, analysis.models.judge
    with uow:
        reports = Reports(uow.session, event.tenant)
        dismissals = (item.finding.dismissed for item in findings)
        if not reports.hold_dismissals({dismissal.key for dismissal in dismissals if dismissal}):
            raise Unavailable("the dismissals of the filer changed meanwhile")
        record = DOCUMENTS.finished(event, uow, blobs, results.refs)
        if record is None:
            return
        report = replace(
            _with_words(record, event.name, results),
            flagged=analysis.flagged,
            risk=analysis.risk,
            filings=len(analysis.filings),
            model=model,
            found=len(findings),
            statements=results.statements,
            signals=results.signals if analysis.models.peers else None,
            strong=results.strong,
            unreadable=analysis.unreadable,
            coverage=analysis.coverage.to_json() if analysis.coverage else None,
        )
        reports.save(report)
        reports.replace_findings(event.document_id, findings)
        reports.replace_filings(event.document_id, event.attempt, analysis.filings)
        reports.replace_filers(event.document_id, analysis.filers)
        notices = monitor.note_filings(
            MonitoringStore(uow.session, event.tenant),
            event.document_id,
            analysis.monitored,
            analysis.routing,
            model.version,
            analysis.dismissed,
        )
        uow.publish(
            announcement(
                report,
                results.findings,
                event.actor,
                accepted=sum(item.route == "accept" for item in findings),
                sampled=tuple(item.id for item in findings if item.sampled),
                adapters=usage,
                title=results.title_ref,
            )
        )
        for request in escalation_requests(event, analysis.questions):
            uow.publish(request)
    publish_notices(notices)
    for route, number in Counter(item.route for item in findings).items():
        metrics.findings_total.labels(route).inc(number)


def _store_words(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    results: Results,
    reason: str,
    usage: tuple[AdapterVersion, ...],
) -> None:
    """Store the narrative flags of a report without statements, and announce its figures as
    unreadable. Without flags the report has failed.
    """
    if not DOCUMENTS.note_blobs(event, uow, results.refs):
        return
    results.put(blobs, event.tenant)
    flags = results.analysis.flags
    code = NO_STATEMENTS if flags else UNREADABLE
    reason = truncate(reason, MAX_SENTENCE)
    with uow:
        record = DOCUMENTS.finished(event, uow, blobs, results.refs)
        if record is None:
            return
        _forget_findings(event, uow)
        reports = Reports(uow.session, event.tenant)
        reports.replace_filers(event.document_id, {})
        failed = record.failed(code, reason)
        report = replace(_with_words(failed, event.name, results), unreadable=1)
        reports.save(report)
        if flags:
            uow.publish(
                announcement(report, results.findings, event.actor, missing=reason, adapters=usage)
            )
        else:
            uow.publish(DOCUMENTS.failure(event, code, reason))


def _with_words(record: Report, name: str, results: Results) -> Report:
    """The record with the file's name, the title, warnings and narrative flags."""
    return replace(
        record,
        name=name,
        title=results.title.title if results.title else None,
        warnings=results.analysis.shown_warnings,
        narrative=results.flags if results.analysis.models.narrative else None,
        narrative_strong=results.strong_flags,
        narrative_found=len(results.analysis.flags),
    )


def note_decision(
    event: ReviewDecided,
    uow: UnitOfWork,
    blobs: BlobStore,
    flagged_from: float,
    classifier: BreakClassifier | None = None,
) -> None:
    """Record a decision about a finding, and dismiss it if it was rejected with a reason.

    Any other decision withdraws an earlier dismissal, also from later reports. Decisions about
    audit samples may tighten the guarantee.
    """
    if event.stage != "triage" or not event.document_id:
        return
    withdrawal = DismissalWithdrawal(uow, blobs, event.tenant, flagged_from)
    documents = withdrawal.begin(event.document_id, event.result_id)
    with uow:
        reports = Reports(uow.session, event.tenant)
        withdrawal.end(documents, event.actor)
        finding = reports.finding(event.document_id, event.result_id)
        reports.forget_decided(event.document_id, event.result_id)
        if finding and event.verdict != "undo":
            reports.note_decided(event.document_id, event.result_id)
        reason = event.verdict == "reject" and (event.note or "").strip()
        report = reports.get(event.document_id)
        if reason and finding and finding.filer and report and report.state != "deleted":
            reports.dismiss(dismissal_from(event, finding))
        watches = MonitoringStore(uow.session, event.tenant)  # locked after the report, always
        notices = monitor.note_decision(watches, event.result_id, event.verdict, classifier)
    publish_notices(notices)


def withdraw_findings(
    event: DocumentReclassified, uow: UnitOfWork, classifier: BreakClassifier | None = None
) -> None:
    """Forget the findings of a document whose kind was corrected, and the decisions on them."""
    notices: Sequence[MonitoringNotice] = ()
    with uow:
        if DOCUMENTS.withdraw(event, uow):
            Reports(uow.session, event.tenant).forget_decided(event.document_id)
            watches = MonitoringStore(uow.session, event.tenant)  # locked after the report, always
            notices = monitor.withdraw_decisions(watches, event.document_id, classifier)
    publish_notices(notices)


def forget_document(
    event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore, flagged_from: float
) -> None:
    """Remove the findings, dismissals and blobs of a deleted document."""
    withdrawal = DismissalWithdrawal(uow, blobs, event.tenant, flagged_from)
    folded = withdrawal.begin(event.document_id, deleted=True)
    with uow:
        reports = Reports(uow.session, event.tenant)
        withdrawal.end(folded, event.actor)
        reports.lock(event.document_id)
        reports.replace_filers(event.document_id, {})
        MonitoringStore(uow.session, event.tenant).forget_filers(event.document_id)
        reports.forget_decided(event.document_id)
        DOCUMENTS.forget(event, uow, blobs)
