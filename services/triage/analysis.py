"""Analyse the filings of one report. Nothing is read or stored here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from services.triage.checks.classifier import BreakClassifier, model_of
from services.triage.checks.verdict import triage_filing
from services.triage.concepts.ensemble import load_labeller
from services.triage.concepts.linear import ConceptLabeller
from services.triage.dismissals import NOTHING, Dismissals, filer_key
from services.triage.domain import (
    CheckedFiling,
    Coverage,
    Model,
    ReportFinding,
    Verdict,
    finding_id,
)
from services.triage.history import last_day
from services.triage.monitoring.drift_features import MonitoredFiling
from services.triage.narrative.flags import flag_id, flags_for_review, read_narrative
from services.triage.narrative.model import FlagModel
from services.triage.reading.document import ReadFiling
from services.triage.routing import risk_control
from services.triage.routing.questions import ResultQuestion, mark_escalated, most_valuable
from services.triage.routing.routing import Routing
from services.triage.signals.peers import Peers
from services.triage.signals.signals import signal_id, signals_of
from services.triage.statements.model import BadFiling, Filing, report_type, truncate
from services.triage.statements.named_cells import NamedCell
from services.triage.statements.titles import report_title
from shared.documents.model.formats import CSV
from shared.documents.model.parsed_document import ParsedDocument
from shared.events import DocumentRead, DocumentTitle
from shared.inference import Base
from shared.policy.rules import KIND_UNSURE

SHOWN_RELATIONS = 100  # relations of one document that are stored; the others are counted
SHOWN_WARNINGS = 50  # warnings of one document that are stored; the others are counted


@dataclass(frozen=True)
class TriageModels:
    """The models of triage; None for one that is not installed, whose results are left out."""

    classifier: BreakClassifier | None = None
    peers: Peers | None = None
    narrative: FlagModel | None = None
    labeller: ConceptLabeller | None = None

    @classmethod
    def load(cls, artefacts: Path, base: Callable[[], Base]) -> Self:
        """Load the installed models. The base is loaded with the first statement."""
        return cls(
            BreakClassifier.load_if_installed(artefacts),
            Peers.load_if_installed(artefacts),
            FlagModel.load_if_installed(artefacts),
            load_labeller(artefacts, base),
        )

    @property
    def judge(self) -> Model:
        """The model that judges filings."""
        return model_of(self.classifier)


@dataclass
class ReportAnalysis:
    """The results of one report, filing by filing. JSON is as REST answers it."""

    tenant: str
    document_id: str
    models: TriageModels = TriageModels()
    dismissals_of: Callable[[str], Dismissals] = lambda _: NOTHING  # the dismissals of a filer
    routing: Routing = field(default_factory=Routing)
    decided: frozenset[str] = frozenset()  # findings that people decided before
    findings: list[ReportFinding] = field(default_factory=list)
    questions: list[ResultQuestion] = field(default_factory=list)  # the most valuable so far
    strong_signals: list[dict[str, Any]] = field(default_factory=list)  # signals for a person
    flags: list[dict[str, Any]] = field(default_factory=list)
    strong_flags: list[dict[str, Any]] = field(default_factory=list)  # narrative flags for a person
    warnings: list[str] = field(default_factory=list)
    monitored: list[MonitoredFiling] = field(default_factory=list)
    """Filings for which a guarantee is possible."""
    dismissed: list[MonitoredFiling] = field(default_factory=list)
    """Filings without a guarantee because of a dismissal, with their decided surest finding."""
    filers: dict[str, str] = field(default_factory=dict)  # each with its earliest last day
    filings: list[CheckedFiling] = field(default_factory=list)
    title: DocumentTitle | None = None  # by the last filing
    unreadable: int = 0
    coverage: Coverage | None = None  # None before the first filing
    flagged: bool = False
    risk: float = 0.0

    def add(self, item: ReadFiling | BadFiling) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Check one more filing. Returns its statements and its signals as JSON, both empty if it
        could not be read."""
        if isinstance(item, BadFiling):
            self.unreadable += 1
            self.warnings.append(item.message)
            return {}, []
        self.title = report_title(item.filing)
        findings = self._judge(item.filing, item.reading)
        self.warnings += [f"{truncate(item.filing.id)}: {note}" for note in item.notes]
        if item.reading:
            self.read_narrative(item.reading)
        labeller = self.models.labeller
        form = labeller.add_concepts(item.filing, item.form) if labeller else item.form
        # The id makes the bytes unique, so that deleting one document leaves the others.
        return {**form, "document_id": self.document_id}, list(self._signals(item.filing, findings))

    def _judge(self, filing: Filing, reading: ParsedDocument | None) -> list[ReportFinding]:
        """Check a filing and return its findings."""
        classifier = self.models.classifier
        filer = filer_key(filing.company)
        dismissals = self.dismissals_of(filer) if filer else NOTHING
        lookup = dismissals.find if dismissals.of_relation else None
        verdict = triage_filing(filing, classifier, lookup)
        number = len(self.filings) + 1
        if filer and (last := last_day(filing)):
            self.filers[filer] = min(last, self.filers.get(filer, last))
        recognised = risk_control.is_recognised(reading)
        warnings = len(verdict.warnings or filing.warnings) + self.routing.kind_unsure
        self.filings.append(CheckedFiling(number, filing.complete, recognised, warnings))
        coverage = verdict.coverage
        self.coverage = (
            self.coverage.plus(coverage, SHOWN_RELATIONS)
            if self.coverage
            else coverage.plus(Coverage(filings=0), SHOWN_RELATIONS)
        )
        self.flagged |= verdict.flagged
        self.risk = max(self.risk, verdict.risk)
        new_warnings = [f"{truncate(filing.id)}: {warning}" for warning in verdict.warnings]
        if not verdict.checked:  # first, because only so many warnings are stored
            self.warnings.insert(0, new_warnings.pop(0))
        self.warnings += new_warnings
        name = f"{number} {filing.id}"

        def route(verdict: Verdict) -> list[ReportFinding]:
            routes = self.routing.routes(verdict, filing, recognised)
            ids = (finding_id(self.tenant, self.document_id, name, f) for f in verdict.findings)
            return [
                self.routing.sample(ReportFinding(key, filing.id, finding, filer, route))
                for key, finding, route in zip(ids, verdict.findings, routes, strict=True)
            ]

        def monitored(verdict: Verdict, surest: ReportFinding | None) -> MonitoredFiling:
            return MonitoredFiling.of(self.document_id, name, filer, verdict.risk, filing, surest)

        findings = route(verdict)
        self.findings += findings
        counts = classifier and not self.routing.kind_unsure  # guarantees are about reports
        excluded = risk_control.exclusion_reason(verdict, filing, recognised)
        if counts and not excluded:
            self.monitored.append(monitored(verdict, risk_control.surest_finding(findings)))
        elif counts and self.decided and any(f.dismissed for f in verdict.findings):
            undismissed = triage_filing(filing, classifier)
            first = risk_control.surest_finding(route(undismissed))
            if (
                first
                and first.id in self.decided
                and not risk_control.exclusion_reason(undismissed, filing, recognised)
            ):
                self.dismissed.append(monitored(undismissed, first))
        questions = self.routing.questions(filing, findings, excluded)
        self.questions = most_valuable([*self.questions, *questions])
        return findings

    def _signals(
        self, filing: Filing, findings: Sequence[ReportFinding]
    ) -> Iterator[dict[str, Any]]:
        """The signals of the filing that was judged last, and of its findings.

        Of strong signals that share a figure, only the strongest goes to a person: one odd figure
        makes several ratios odd.
        """
        shown: set[NamedCell] = set()
        for signal in signals_of(filing, self.models.peers) if self.models.peers else ():
            name = f"{len(self.filings)} {filing.id}"
            key = signal_id(self.tenant, self.document_id, name, signal)
            cells = {item.cell for item in signal.inputs}
            finding = next((one for one in findings if _doubts(one, cells)), None)
            form = {
                "id": key,
                "filing": filing.id,
                **signal.to_json(),
                "explained_by": finding and finding.id,
            }
            if signal.level == "strong" and not cells & shown:
                shown |= cells
                self.strong_signals.append(form)
            yield form

    def read_narrative(self, reading: ParsedDocument) -> None:
        """Add the narrative flags of a report."""
        if self.models.narrative is None:
            return
        result = read_narrative(reading, self.models.narrative)
        self.warnings = [*result.warnings, *self.warnings]
        forms = {
            flag: {"id": flag_id(self.tenant, self.document_id, flag), **flag.to_json()}
            for flag in result.flags
        }
        self.flags += forms.values()
        self.strong_flags += [forms[flag] for flag in flags_for_review(result.flags)]

    @property
    def routed_findings(self) -> list[ReportFinding]:
        """The findings of all filings with their routes."""
        return mark_escalated(self.findings, self.questions)

    @property
    def shown_warnings(self) -> tuple[str, ...]:
        """The first warnings, and the number of the others."""
        more = len(self.warnings) - SHOWN_WARNINGS
        others = (f"{more} more warnings",) if more > 0 else ()
        no_guarantee_reason = (
            (KIND_UNSURE,) if self.routing.kind_unsure and self.routing.guarantee else ()
        )
        return (*self.warnings[:SHOWN_WARNINGS], *others, *no_guarantee_reason)


def _doubts(item: ReportFinding, cells: Collection[NamedCell]) -> bool:
    """Whether an undismissed finding doubts one of these cells, alone or with its whole column or
    statement.
    """
    finding = item.finding
    return not finding.dismissed and any(
        cell.statement == finding.statement
        and (finding.row is None or cell.row == finding.row)
        and (finding.column is None or cell.column == finding.column)
        for cell in cells
    )


def labeller_for(event: DocumentRead, labeller: ConceptLabeller | None) -> ConceptLabeller | None:
    """The labeller of a document: none for data, and the fast model for CSV."""
    data_type = report_type(event.media_type, event.name)
    if labeller is None or data_type is None:
        return labeller
    return labeller.fast if data_type == CSV else None
