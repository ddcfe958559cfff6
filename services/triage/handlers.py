"""One function for each event that triage reacts to."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from services.triage.dismissals import Dismissals, dismissed_by
from services.triage.domain import Model, Report, ReportFinding, State
from services.triage.metering import read_by
from services.triage.naming import Naming
from services.triage.narrative.model import Narrative
from services.triage.noting import note_blobs, others_with_blobs, remove
from services.triage.past.store import Filings
from services.triage.questions import requests_of
from services.triage.reading.document import read_document
from services.triage.reading.report import FactsReader, NoStatements
from services.triage.results import Outcome, Results, Routing, Spools, write_line
from services.triage.risk import NAME, Judge, model_of
from services.triage.signals.peers import Peers
from services.triage.statements import (
    CSV,
    MAX_SENTENCE,
    BadFiling,
    quoted,
    report_type,
)
from services.triage.store import Reports
from services.triage.store import reports as reports_table
from services.triage.unfolding import Unfolding
from services.triage.watch import watching
from services.triage.watch.store import Watches
from shared import metrics
from shared.asking import Askers
from shared.documents.reading import Reading
from shared.errors import DocumentTooLarge, Unavailable, UnreadableDocument
from shared.events import (
    AdapterVersion,
    DocumentDeleted,
    DocumentFailed,
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    FindingsFound,
    ReviewDecided,
)
from shared.policy import Risks
from shared.storage import BlobStore, MissingBlob, UnitOfWork
from shared.storage.deletion import is_cancelled, is_deleted, mark_deleted
from shared.storage.secret import draw_key
from shared.storage.sharing import held_by
from shared.storage.watches import Notice
from shared.tracing import span
from shared.watch.watching import announce

log = logging.getLogger(__name__)

NO_STATEMENTS = "no_statements"
"""Code of a report whose sentences were read, and which has no statement to check."""
FILERS_KEPT = 100
"""Filers of one document whose dismissals are kept at hand while it is checked."""


def expect_document(event: DocumentIngested, uow: UnitOfWork) -> None:
    """Remember that a document, or a new attempt at it, is on its way."""
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id)
        if known and (known.state == "deleted" or known.attempt >= event.attempt):
            return
        new = Report(event.tenant, event.document_id, event.kind, event.attempt)
        reports.save(replace(new, blobs=known.blobs, own=known.own) if known else new)


def triage_report(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    facts: FactsReader,
    most_characters: int,
    judge: Judge | None = None,
    peers: Peers | None = None,
    narrative: Narrative | None = None,
    namer: Naming | None = None,
    risks: Risks | None = None,
    askers: Askers | None = None,
    count: Callable[[str], int] | None = None,
) -> None:
    """Check every filing of one report, keep the findings with what was read, and announce them.

    Args:
        risks: what each tenant lets the machine accept; None: a person looks at all.
        askers: whom each tenant may ask about the rest; None: nobody.
        count: counts the tokens of a text, for the books; None: nothing is noted there.
    """
    if event.kind != "report":
        _note_kind(event, uow, blobs)
        return
    if not _counts(event, uow, blobs):
        return
    began = time.monotonic()
    known = lru_cache(FILERS_KEPT)(lambda filer: _dismissed(uow, event.tenant, filer))
    with Spools.opened() as spools:
        rules, asks = (risks or Risks()).of(event.tenant), (askers or Askers()).of(event.tenant)
        with uow.store.read() as session:
            known_errors = judge.guarantee if judge else None
            key, watches = draw_key(session), Watches(session, event.tenant)
            local = watches.local(NAME, model_of(judge).version)
            routing = Routing(rules, known_errors, key, asks, local, event.kind_unsure)
            decided = frozenset(watches.decided_of(event.document_id))
        outcome = Outcome(
            judge, peers, known, narrative=narrative, routing=routing, decided=decided
        )
        try:
            with span("infer triage") as infers:
                _triage(event, blobs, facts, most_characters, outcome, spools, namer)
                said = {
                    "smallprint.filings": outcome.read,
                    "smallprint.found": len(outcome.findings),
                }
                infers.set(said)
        except MissingBlob:
            if not is_deleted(blobs, event.tenant, event.document_id):
                raise
            log.info("deleted before it was checked")
            return
        except DocumentTooLarge as error:
            _keep_failure(event, uow, error.code, error.message)
            return
        except NoStatements as error:
            outcome.read_words(event.tenant, event.document_id, error.reading)
            reader = narrative.model if narrative else model_of(judge)
            took = _took(event, blobs, reader, time.monotonic() - began, outcome, count)
            _keep_words(event, uow, blobs, outcome, error.message, took)
            return
        except UnreadableDocument as error:
            _keep_failure(event, uow, "unreadable_report", error.message)
            return
        if outcome.read:
            took = _took(event, blobs, model_of(judge), time.monotonic() - began, outcome, count)
            with span("keep findings"):
                _keep_findings(event, uow, blobs, outcome, spools, took)
            return
    reason = quoted("; ".join(outcome.said()), MAX_SENTENCE)
    _keep_failure(event, uow, "unreadable_report", reason)


def _took(
    event: DocumentRead,
    blobs: BlobStore,
    model: Model,
    seconds: float,
    outcome: Outcome,
    count: Callable[[str], int] | None,
) -> tuple[AdapterVersion, ...]:
    """What checked the report and what that took; nothing of one that is deleted meanwhile."""
    if count is None:
        return ()
    try:
        with blobs.open(event.tenant, event.text) as source:
            return read_by(model, seconds, (source, event.text.size), outcome, count)
    except MissingBlob:
        return ()


def note_decision(
    event: ReviewDecided,
    uow: UnitOfWork,
    blobs: BlobStore,
    flagged_from: float,
    judge: Judge | None = None,
) -> None:
    """Remember that a finding is decided, and what an analyst dismissed with a reason, for the
    filer's next report; whatever else is decided about it takes that back, also from the reports
    that it has folded away since. Where a check puts what is promised in doubt, less is accepted
    from now on.
    """
    if event.stage != "triage" or not event.document_id:
        return
    unfolding = Unfolding(uow, blobs, event.tenant, flagged_from)
    folded = unfolding.begin(event.document_id, event.result_id, actor=event.actor)
    with uow:
        reports = Reports(uow.session, event.tenant)
        unfolding.end(folded, event.actor)
        found = reports.finding(event.document_id, event.result_id)
        reports.forget_decided(event.document_id, event.result_id)
        if found and event.verdict != "undo":
            reports.note_decided(event.document_id, event.result_id)
        _dismiss(event, reports, found)
        watches = Watches(uow.session, event.tenant)  # locked behind reports, as everywhere
        told = watching.note_decision(watches, event.result_id, event.verdict, judge)
    announce(told)


def _dismiss(event: ReviewDecided, reports: Reports, found: ReportFinding | None) -> None:
    """Remember what an analyst rejected with a reason, of a filer that is named."""
    said = event.verdict == "reject" and (event.note or "").strip()
    known = reports.get(event.document_id or "")
    if not said or found is None or not found.filer or known is None or known.state == "deleted":
        return
    reports.dismiss(dismissed_by(event, found))


def _dismissed(uow: UnitOfWork, tenant: str, filer: str) -> Dismissals:
    with uow.store.read() as session:
        return Dismissals.of(Reports(session, tenant).dismissals(filer))


def note_failure(event: DocumentFailed, uow: UnitOfWork) -> None:
    """Remember why a document has no findings, if it was given up before or while we worked. If
    somebody stopped the work, what was found does not count either.
    """
    if event.stage not in ("ingest", "triage"):
        return
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id, lock=True)
        if event.cancels:
            _stop(reports, event, known)
        elif known and known.state == "waiting" and known.attempt == event.attempt:
            reports.save(known.failed(event.code, event.reason))


def withdraw_findings(event: DocumentRekinded, uow: UnitOfWork, judge: Judge | None = None) -> None:
    """The document is of another kind: what was found under the old one no longer counts."""
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id, lock=True)
        if known is None or known.state == "deleted" or event.kind == event.previous:
            return
        attempt = event.attempt or known.attempt
        if event.attempt and known.attempt >= event.attempt:
            return  # what begins with it has begun already
        state: State = "waiting" if event.attempt and event.kind == "report" else "withdrawn"
        _forget_found(reports, event.document_id)
        reports.forget_decided(event.document_id)  # review withdraws what was decided
        new = replace(known, kind=event.kind, attempt=attempt, state=state)
        reports.save(replace(new, code=None, reason=None))
        watches = Watches(uow.session, event.tenant)  # locked behind reports, as everywhere
        told = watching.withdraw_decisions(watches, event.document_id, judge)
    announce(told)


def forget_document(
    event: DocumentDeleted, uow: UnitOfWork, blobs: BlobStore, flagged_from: float
) -> None:
    """Remove findings, dismissals and blobs; the id alone stays, so that late news does nothing."""
    unfolding = Unfolding(uow, blobs, event.tenant, flagged_from)
    folded = unfolding.begin(event.document_id, actor=event.actor, deleted=True)
    others = others_with_blobs(event, uow)
    with uow:
        reports = Reports(uow.session, event.tenant)
        unfolding.end(folded, event.actor)
        known = reports.get(event.document_id, lock=True)
        _forget_found(reports, event.document_id)
        reports.replace_filers(event.document_id, {})
        Watches(uow.session, event.tenant).forget_filers(event.document_id)
        reports.forget_decided(event.document_id)
        reports.save(Report(event.tenant, event.document_id, "other", 1, state="deleted"))
        mark_deleted(blobs, event.tenant, event.document_id)
        held = held_by(uow.session, reports_table, event.tenant, others)
        gone = [ref for ref in (known.blobs if known else ()) if ref.sha256 not in held]
        remove(blobs, event.tenant, gone)  # before the commit: a crash does it again


def _forget_found(reports: Reports, document_id: str) -> None:
    """Remove findings, what was noted of the filings that they are of, and what people would be
    asked about them.
    """
    reports.replace_findings(document_id, [])
    Filings(reports.session, reports.tenant).forget(document_id)
    Watches(reports.session, reports.tenant).forget_open(document_id)


def _stop(reports: Reports, event: DocumentFailed, known: Report | None) -> None:
    known = known or Report(event.tenant, event.document_id, "other", event.attempt)
    if known.state == "deleted" or known.attempt > event.attempt:
        return
    _forget_found(reports, event.document_id)
    stopped = replace(known, attempt=event.attempt)
    reports.save(stopped.failed(event.code, event.reason))


def _note_kind(event: DocumentRead, uow: UnitOfWork, blobs: BlobStore) -> None:
    """Remember that its text shows a document to be none of ours, which its type did not tell."""
    if not _counts(event, uow, blobs):
        return
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id)
        if known and known.awaits(event.attempt) and known.kind != event.kind:
            reports.save(replace(known, kind=event.kind, attempt=event.attempt))


def _counts(event: DocumentRead, uow: UnitOfWork, blobs: BlobStore) -> bool:
    with uow.store.read() as session:
        known = Reports(session, event.tenant).get(event.document_id)
    if known is not None and not known.awaits(event.attempt):
        return False
    return not is_cancelled(blobs, event.tenant, event.document_id, event.attempt)


def _triage(
    event: DocumentRead,
    blobs: BlobStore,
    facts: FactsReader,
    most: int,
    outcome: Outcome,
    spools: Spools,
    namer: Naming | None,
) -> None:
    """Read and judge filing by filing into files, so that a large report does not fill the
    memory. Lines are named where people read them: data of programs can be long, and a table has
    to be there at once.
    """
    data_type = report_type(event.media_type, event.name)
    if namer and data_type:
        namer = namer.quick if data_type == CSV else None
    with blobs.open(event.tenant, event.original) as source:
        found = read_document(
            source,
            event.media_type,
            event.name,
            reading=lambda: _reading(event, blobs, most),
            facts=facts,
        )
        for one in found:
            if isinstance(one, BadFiling):
                outcome.unread += 1
                outcome.warnings.append(one.message)
                continue
            form = namer.show(one.filing, one.form) if namer else one.form
            # With whose it is: no two documents have the same bytes, so each goes by itself.
            write_line(spools.statements, {**form, "document_id": event.document_id})
            outcome.add(event.tenant, event.document_id, one.filing, one.reading)
            outcome.warnings += [f"{quoted(one.filing.id)}: {note}" for note in one.notes]
            for signal in outcome.signals(event.tenant, event.document_id, one.filing):
                write_line(spools.signals, signal)
            if one.reading:
                outcome.read_words(event.tenant, event.document_id, one.reading)
    spools.statements.seek(0)
    spools.signals.seek(0)


def _reading(event: DocumentRead, blobs: BlobStore, most: int) -> Reading:
    """The document as ingest read it. Raises DocumentTooLarge for a text that would take hours."""
    text = blobs.get(event.tenant, event.text).decode()
    if len(text) > most:
        raise DocumentTooLarge(
            f"the text has {len(text):,} characters: statements are looked for in at most {most:,} "
            "(setting SMALLPRINT_TRIAGE_MAX_CHARACTERS)"
        )
    return Reading.from_bytes(blobs.get(event.tenant, event.layout), text)


def _keep_findings(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    outcome: Outcome,
    spools: Spools,
    took: tuple[AdapterVersion, ...],
) -> None:
    results = Results.of(outcome, spools)
    if not note_blobs(event, uow, results.refs):
        return
    results.put(blobs, event.tenant)
    model, findings, told = model_of(outcome.judge), outcome.routed, list[Notice]()
    with uow:
        reports = Reports(uow.session, event.tenant)
        words = (found.finding.dismissed for found in findings)
        if not reports.hold_dismissals({word.key for word in words if word}):
            raise Unavailable("what was dismissed of the filer has changed meanwhile")
        known = reports.get(event.document_id, lock=True)
        if known and not known.awaits(event.attempt):
            if known.state == "deleted":
                remove(blobs, event.tenant, results.refs)
            return
        before = known or Report(event.tenant, event.document_id, event.kind, event.attempt)
        noted = before.noting(results.refs)
        reports.save(
            Report(
                tenant=event.tenant,
                document_id=event.document_id,
                kind=event.kind,
                attempt=event.attempt,
                state="triaged",
                flagged=outcome.flagged,
                risk=outcome.risk,
                filings=outcome.read,
                warnings=outcome.said(),
                model=model,
                name=event.name,
                found=len(findings),
                statements=results.statements,
                signals=results.signals if outcome.peers else None,
                strong=results.strong,
                narrative=results.flags if outcome.narrative else None,
                narrative_strong=results.strong_flags,
                narrative_found=len(outcome.flags),
                unreadable=outcome.unread,
                blobs=noted.blobs,
                own=noted.own,
            )
        )
        reports.replace_findings(event.document_id, findings)
        filings = Filings(uow.session, event.tenant)
        filings.replace(event.document_id, event.attempt, outcome.filings)
        reports.replace_filers(event.document_id, outcome.filers)
        watches = Watches(uow.session, event.tenant)
        judged, folded, routing = outcome.judged, outcome.folded, outcome.routing
        told = watching.note_filings(
            watches, event.document_id, judged, routing, model.version, folded
        )
        uow.publish(
            FindingsFound(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=event.name,
                findings=results.findings,
                count=len(findings),
                flagged=outcome.flagged,
                risk=outcome.risk,
                unreadable=outcome.unread,
                warnings=outcome.said(),
                attempt=event.attempt,
                model=f"{model.name} {model.version}",
                signals=results.strong,
                narrative=results.strong_flags,
                accepted=sum(found.route == "accept" for found in findings),
                sampled=tuple(found.id for found in findings if found.sampled),
                adapters=took,
            )
        )
        for request in requests_of(event, outcome.asked):
            uow.publish(request)
    announce(told)
    for route, count in Counter(found.route for found in findings).items():
        metrics.findings_total.labels(route).inc(count)


def _keep_words(
    event: DocumentRead,
    uow: UnitOfWork,
    blobs: BlobStore,
    outcome: Outcome,
    reason: str,
    took: tuple[AdapterVersion, ...],
) -> None:
    """Keep what a report without statements says of its filer. Its figures were not checked, which
    is announced as a part of it that could not be read; where its words say nothing it has failed.
    """
    with Spools.opened() as nothing:
        results = Results.of(outcome, nothing)
    if not note_blobs(event, uow, results.refs):
        return
    results.put_lists(blobs, event.tenant)
    code = NO_STATEMENTS if outcome.flags else "unreadable_report"
    reason = quoted(reason, MAX_SENTENCE)
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id, lock=True)
        if known and not known.awaits(event.attempt):
            if known.state == "deleted":
                remove(blobs, event.tenant, results.refs)
            return
        given_up = Report(event.tenant, event.document_id, event.kind, event.attempt)
        noted = (known or given_up).noting(results.refs)
        reports.save(
            replace(
                given_up.failed(code, reason),
                name=event.name,
                warnings=outcome.said(),
                narrative=results.flags if outcome.narrative else None,
                narrative_strong=results.strong_flags,
                narrative_found=len(outcome.flags),
                blobs=noted.blobs,
                own=noted.own,
            )
        )
        _forget_found(reports, event.document_id)
        reports.replace_filers(event.document_id, {})
        if not outcome.flags:
            uow.publish(_failure(event, code, reason))
            return
        uow.publish(
            FindingsFound(
                tenant=event.tenant,
                document_id=event.document_id,
                actor=event.actor,
                name=event.name,
                findings=results.findings,
                count=0,
                flagged=False,
                risk=0.0,
                unreadable=1,
                missing=reason,
                warnings=outcome.said(),
                attempt=event.attempt,
                narrative=results.strong_flags,
                adapters=took,
            )
        )


def _keep_failure(event: DocumentRead, uow: UnitOfWork, code: str, reason: str) -> None:
    """An expected end, not a dead letter: the document says it, and everybody hears it."""
    with uow:
        reports = Reports(uow.session, event.tenant)
        known = reports.get(event.document_id, lock=True)
        if known and not known.awaits(event.attempt):
            return
        report = known or Report(event.tenant, event.document_id, event.kind, event.attempt)
        _forget_found(reports, event.document_id)
        reports.save(replace(report, kind=event.kind, attempt=event.attempt).failed(code, reason))
        uow.publish(_failure(event, code, reason))


def _failure(event: DocumentRead, code: str, reason: str) -> DocumentFailed:
    return DocumentFailed(
        tenant=event.tenant,
        document_id=event.document_id,
        actor=event.actor,
        stage="triage",
        code=code,
        reason=reason,
        attempt=event.attempt,
    )
