"""Monitor the guarantee for findings: record filings, audit samples and decisions.

See `shared/monitoring/monitor.py` for the tests. The unit is a filing, because at most one of its
findings is accepted. Only the first sample of a company counts for a guarantee: filings of one
company are wrong together, and would raise false alarms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.monitoring.drift_features import MonitoredFiling, shipped_reference
from services.triage.monitoring.store import MonitoringStore
from services.triage.routing.risk_control import line_of
from services.triage.routing.routing import Routing
from shared.events import Verdict
from shared.monitoring.monitor import (
    ConfidenceOf,
    count_document,
    drift_noticed,
    note_figures,
    report_drift,
    set_reference,
    start_guarantee,
)
from shared.monitoring.store import AuditSample, MonitoringNotice, MonitoringState
from shared.monitoring.tenant_calibration import version_and_tenant_part
from shared.policy.intervals import Floats
from shared.storage.secret import draw, pseudonym

FILINGS = "filings"
COMPARED = 20
"""Filings per document whose figures are stored, at most one per company. Filings of one company
are similar and would look like a drift."""


def note_filings(
    watches: MonitoringStore,
    document_id: str,
    filings: Sequence[MonitoredFiling],
    routing: Routing,
    version: str,
    dismissed: Sequence[MonitoredFiling] = (),
) -> list[MonitoringNotice]:
    """Store the audit samples, other questions to people and figures of a document's filings;
    returns notices for people.

    A document that another version of the classifier has read counts for no test; see
    `note_clauses` of extraction. Decisions about findings in `dismissed`, which an earlier
    dismissal hides, count for this version too: otherwise only acceptances would carry over,
    because rejections dismiss.
    """
    notices = list[MonitoringNotice]()
    guarantee = routing.guarantee
    name, read_before = "", False
    if guarantee is not None and guarantee.belief is not None:
        name = guarantee.name_for(version, routing.local)
        state = watches.state(NAME, lock=True)
        if name != state.guarantee:
            terms = {"risk": guarantee.max_wrong, "belief": guarantee.belief}
            state = start_guarantee(watches, state, name, {**terms, "categories": 0, "most": 1.0})
        units = [filing.id for filing in _chosen(filings, routing.key)]
        read_before = watches.has_other_version(NAME, units, _reference(routing, version)[0])
        state, notices = _compared(watches, state, filings, routing, version)
        watches.save(state)
    elif watches.state(NAME).drifted:
        state = watches.state(NAME, lock=True)
        watches.save(set_reference(state, *_reference(routing, version)))
    watches.delete_undecided(document_id)
    line = routing.line
    decided = set(watches.decided_of(document_id)) if dismissed else set[str]()
    again = [filing for filing in dismissed if filing.surest and filing.surest.id in decided]
    for filing in (*filings, *again):
        finding = filing.surest
        if finding is None or finding.route == "accept":
            continue
        confidence, filer = finding.finding.confidence, filing.filer
        family = filer_pseudonym(routing.key, watches.tenant, filer) if filer else None
        counted = bool(family and watches.counts_already(name, family))
        counts = finding.sampled and not read_before and not counted
        watches.add_sample(
            AuditSample(
                finding.id,
                document_id,
                NAME,
                version,
                finding.finding.check,
                confidence,
                line.belief_of(confidence),
                name if counts else "",
                routing.share if finding.sampled else 1.0,
                finding.sampled,
                family=family,
            )
        )
    for notice in notices:
        watches.add_notice(notice)
    return notices


def filer_pseudonym(key: bytes, tenant: str, filer: str) -> str:
    """The pseudonym of a filer, different in each tenant."""
    return pseudonym(key, "filer", f"{tenant}\0{filer}")


def _compared(
    watches: MonitoringStore,
    state: MonitoringState,
    filings: Sequence[MonitoredFiling],
    routing: Routing,
    version: str,
) -> tuple[MonitoringState, list[MonitoringNotice]]:
    """The state after comparing the figures of filings, and notices of drift."""
    reference, stated, figures = _reference(routing, version)
    notices = list[MonitoringNotice]()
    for filing in _chosen(filings, routing.key):
        chance = partial(_chance, routing.key, filing.id)
        state = note_figures(
            watches, state, filing.id, filing.figures, reference, figures, chance, stated
        )
        if drift_noticed(state):
            broken = routing.rules.findings.broken if figures else None
            state, notice = report_drift(state, _changed(broken), routing.share)
            notices.append(notice)
    return state, notices


def _reference(routing: Routing, version: str) -> tuple[str, str, Mapping[str, Floats]]:
    """The name of the reference, the stated share of broken filings ("" with the tenant's own
    decisions), and the reference figures, ascending."""
    broken, reference = routing.rules.findings.broken, f"{version}+{routing.local.number}"
    if routing.local.data is None and routing.calibration and broken is not None:
        return reference, f"{broken:g}", shipped_reference(routing.calibration, broken)
    return reference, "", {}


def _chance(key: bytes, filing: str, name: str) -> float:
    return draw(key, f"figure {name}", filing)


def _changed(broken: float | None) -> str:
    if broken is None:
        return "new filings differ from earlier ones"
    return (
        f"new filings differ from the calibration data of {NAME}, or the share of them with an "
        f"error is not the stated {broken:.0%}"
    )


def _chosen(filings: Iterable[MonitoredFiling], key: bytes) -> list[MonitoredFiling]:
    """The filings of a document whose figures are stored, in random order."""
    of_filer: dict[str, MonitoredFiling] = {}
    for filing in sorted(filings, key=lambda filing: draw(key, "compared", filing.id)):
        of_filer.setdefault(filing.filer or filing.id, filing)
    return list(of_filer.values())[:COMPARED]


def note_decision(
    watches: MonitoringStore,
    finding_id: str,
    verdict: Verdict,
    classifier: BreakClassifier | None = None,
) -> list[MonitoringNotice]:
    """Count a person's decision about a finding; returns notices. A rejected finding was wrong.

    Decisions outside the sample, and about findings that are not the surest of their filing, are
    not counted.
    """
    sample = watches.find(finding_id)
    if sample is None:
        return []
    state = watches.state(sample.adapter, lock=True) if sample.sampled else None
    sample = watches.find(finding_id) or sample  # read again under the lock
    decided = replace(sample, wrong=None if verdict == "undo" else verdict == "reject")
    watches.save_sample(decided)
    if state is None:
        return []
    confidence = confidence_of(watches, state, classifier)
    return count_document(watches, state, [decided], FILINGS, confidence)


def withdraw_decisions(
    watches: MonitoringStore, document_id: str, classifier: BreakClassifier | None = None
) -> list[MonitoringNotice]:
    """Uncount all decisions about a document's findings; returns notices."""
    notices = list[MonitoringNotice]()
    for finding_id in watches.decided_of(document_id):
        notices += note_decision(watches, finding_id, "undo", classifier)
    watches.delete_undecided(document_id)
    return notices


def confidence_of(
    watches: MonitoringStore, state: MonitoringState, classifier: BreakClassifier | None
) -> ConfidenceOf | None:
    """The map from belief to confidence of the monitored guarantee.

    People see thresholds as confidence. None if nothing was guaranteed, or if another version of
    the classifier made the guarantee.
    """
    version_and_calibration = version_and_tenant_part(state.guarantee)
    if version_and_calibration is None:
        return None
    version, own = version_and_calibration
    number, _, broken = own.partition("/")  # see `RiskGuarantee.name_for`
    if broken:
        if classifier is None or classifier.guarantee is None or classifier.version != version:
            return None
        return line_of(classifier.guarantee, None, float(broken)).confidence_of
    mine = [
        calibration.data
        for calibration in watches.calibrations(NAME)
        if calibration.number == int(number)
    ]
    return line_of(None, mine[0], None).confidence_of if mine else None
