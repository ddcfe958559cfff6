"""Simulate policies on reports that were checked before. Nothing is read again or changed.

Each report is taken as stored: findings with confidence, statements, and facts about its filings.
The routing code decides again. Dismissed findings do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.triage.checks.classifier import BreakClassifier, model_of
from services.triage.domain import CheckedFiling, Model, Report, ReportFinding, Verdict, finding_id
from services.triage.reading.document import limit_size, without_equity
from services.triage.routing import risk_control
from services.triage.routing.questions import ResultQuestion, most_valuable
from services.triage.routing.routing import Routing
from services.triage.statements.model import Filing, read_filings
from services.triage.store import Reports
from shared.blobs import BlobStore, MissingBlob
from shared.documents.model.formats import JSON
from shared.monitoring.policy_simulation import PolicySimulation
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.escalation_value import TenantEscalationRules
from shared.policy.rules import KIND_UNSURE, RiskRules
from shared.storage import Store

UNSTATED = (
    "The policy does not state the share of reports with an error (`broken` of "
    "`[tenants.….findings]`)."
)
TIGHTENED = (
    "too many checks were wrong: findings are accepted only from a confidence of {:.1%}, stricter "
    "than guaranteed"
)
NOTHING: Mapping[str, AuditSample] = {}  # no decisions
KEPT = "kept"  # placeholder for warnings, of which only the number is stored


@dataclass(frozen=True)
class PastFiling:
    """One filing as it was checked, with its findings, the surest first."""

    filing: Filing
    recognised: bool
    findings: Sequence[ReportFinding]


@dataclass(frozen=True)
class PastReport:
    """One report as it was checked. `filings` has those with findings, and can be read once."""

    model: Model  # the model that judged it
    filings: Iterable[PastFiling]
    kind_unsure: bool = False  # whether it may be no report


def past_reports(
    store: Store, blobs: BlobStore, tenant: str, unsure: Collection[str] = ()
) -> Iterator[PastReport | None]:
    """Yield every checked report of a tenant; None for one in work or without statements. The kind
    of the documents in `unsure` is undecided."""
    with store.read() as session:
        reports = Reports(session, tenant)
        for document in reports.done():
            report = reports.get(document)
            if report is None or report.model is None:
                continue
            filings = reports.filings(document, report.attempt)
            if len(filings) != report.filings or report.statements is None:
                yield None
                continue
            findings = reports.all_findings(document)
            try:
                with blobs.open(tenant, report.statements) as lines:
                    read = _filings(report, lines, filings, findings)
                    yield PastReport(report.model, read, document in unsure)
            except MissingBlob:
                yield None


def _filings(
    report: Report,
    lines: Iterable[bytes],
    noted: Sequence[CheckedFiling],
    findings: Sequence[ReportFinding],
) -> Iterator[PastFiling]:
    """Yield the filings that have findings, one per line."""
    remaining: dict[str, list[ReportFinding]] = defaultdict(list)
    for finding in findings:
        remaining[finding.filing].append(finding)
    for checked, line in zip(noted, lines, strict=False):
        if not remaining:
            return
        filing = _filing(line, checked)
        named = f"{checked.number} {filing.id}"
        of_name = remaining.pop(filing.id, [])
        mine = [
            item
            for item in of_name
            if item.id == finding_id(report.tenant, report.document_id, named, item.finding)
        ]
        if len(mine) < len(of_name):
            remaining[filing.id] = [item for item in of_name if item not in mine]
        if mine:
            yield PastFiling(filing, checked.recognised, mine)


def _filing(line: bytes, stored: CheckedFiling) -> Filing:
    """A filing as it was checked, with placeholder warnings."""
    (read,) = read_filings(line, JSON)
    assert isinstance(read, Filing), "stored statements are readable"
    warnings = (KEPT,) * stored.warnings
    return replace(limit_size(without_equity(read)), complete=stored.complete, warnings=warnings)


def simulate(
    reports: Iterable[PastReport],
    policies: Sequence[tuple[RiskRules, TenantEscalationRules]],
    classifier: BreakClassifier | None,
    verdicts: Mapping[str, str],
    key: bytes,
    local: TenantCalibration = SHIPPED_CALIBRATION,
    decisions: Mapping[str, AuditSample] = NOTHING,
) -> list[PolicySimulation]:
    """Count the results of each policy on the findings of reports.

    `verdicts` has those of people, and `decisions` the stored samples, both by finding id. `key` is
    the secret of the sampling.
    """
    calibration_data = classifier.guarantee if classifier else None
    routings = [Routing(rules, calibration_data, key, asks, local) for rules, asks in policies]
    tallies = [PolicySimulation() for _ in policies]
    for routing, tally in zip(routings, tallies, strict=True):
        guarantee = routing.guarantee
        if guarantee is not None and guarantee.threshold is not None and local.step:
            tally.tightened[TIGHTENED.format(guarantee.threshold)] = None
    for report in reports:
        why = _outdated(report.model, model_of(classifier))
        asked_questions: list[list[ResultQuestion]] = [[] for _ in policies]
        mine = [replace(filing, kind_unsure=report.kind_unsure) for filing in routings]
        for filing in report.filings:
            for index, routing in enumerate(mine):
                questions = _try(filing, routing, why, tallies[index], verdicts, decisions)
                asked_questions[index] = most_valuable([*asked_questions[index], *questions])
        for tally, questions in zip(tallies, asked_questions, strict=True):
            tally.escalated += len(questions)
            tally.usd += sum(question.usd for question in questions)
    return tallies


def _outdated(judged: Model, installed: Model) -> str:
    """Why another version's verdict has no guarantee; empty for this version."""
    if judged == installed:
        return ""
    now = f"{installed.name} {installed.version} is installed: reprocess it."
    return f"{judged.name} {judged.version} judged it, and {now}"


def _try(
    filing: PastFiling,
    routing: Routing,
    outdated: str,
    tally: PolicySimulation,
    verdicts: Mapping[str, str],
    decisions: Mapping[str, AuditSample],
) -> list[ResultQuestion]:
    """Count the findings of one filing, and return the questions worth their price."""
    findings = tuple(item.finding for item in filing.findings)
    verdict = Verdict(filing.filing.id, False, 0.0, findings, filing.filing.warnings)
    unlike = KIND_UNSURE if routing.kind_unsure else ""  # counted among the warnings, too
    unlike = unlike or risk_control.exclusion_reason(verdict, filing.filing, filing.recognised)
    guarantee = routing.guarantee
    if guarantee is not None:
        stated = (
            UNSTATED
            if guarantee.no_guarantee_reason == risk_control.UNKNOWN
            else guarantee.no_guarantee_reason
        )
        guarantee = risk_control.revoked_if(guarantee, stated or outdated or unlike)
    routed = []
    routes = risk_control.route_findings(verdict, guarantee)
    for item, route in zip(filing.findings, routes, strict=True):
        if item.finding.dismissed:
            continue
        now = routing.sample(replace(item, route=route, sampled=False))
        routed.append(now)
        sample = decisions.get(now.id)
        tally.add(
            now.finding.check,
            now.finding.message,
            now.route,
            now.sampled,
            _right(now, routing),
            verdicts.get(now.id),
            sample.decided_result if sample else None,
        )
    if guarantee is not None and guarantee.no_guarantee_reason and routed:
        tally.no_guarantee_reason[guarantee.no_guarantee_reason] += len(routed)
    if routing.asks_nothing or outdated or (routing.trusts_models and unlike):
        return []
    return routing.find_questions(filing.filing, routed)


def _right(item: ReportFinding, routing: Routing) -> float:
    """Probability that an accepted finding is right, by decisions where there is a calibration."""
    if item.route == "accept" and routing.local.data:
        return routing.belief(item)
    data, broken = routing.calibration, routing.rules.findings.broken
    if item.route != "accept" or data is None or broken is None:
        return 0.0
    return risk_control.observed_accuracy(item.finding.confidence, data, broken)
