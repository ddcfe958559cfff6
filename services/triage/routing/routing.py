"""Route each finding of a filing: accept it, ask a model, or send it to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.triage.domain import ReportFinding, Verdict
from services.triage.routing import risk_control
from services.triage.routing.questions import ResultQuestion, find_questions
from services.triage.statements.model import Filing
from shared.events import Route
from shared.monitoring.monitor import sampling_share
from shared.monitoring.sequential_test import STEPS
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.escalation_value import NO_ESCALATION, TenantEscalationRules, other_kinds
from shared.policy.rules import KIND_UNSURE, REVIEW_ALL, RiskRules
from shared.storage.secret import draw


@dataclass(frozen=True)
class Routing:
    """A tenant's rules for acceptance, audit samples, and questions to frontier models."""

    rules: RiskRules = REVIEW_ALL
    calibration: bytes | None = None  # the shipped calibration set of findings, or None
    key: bytes = b""  # the secret of the sampling
    asks: TenantEscalationRules = NO_ESCALATION
    local: TenantCalibration = SHIPPED_CALIBRATION  # the tenant's own calibration
    kind_unsure: bool = False  # whether the document may be no report

    @property
    def guarantee(self) -> risk_control.RiskGuarantee | None:
        """The tenant's guarantee; None without a stated risk: a person looks at everything."""
        return risk_control.tenant_guarantee(
            self.calibration, self.rules.findings, self.rules.level, self.local
        )

    @property
    def share(self) -> float:
        """The share of acceptable findings that people check."""
        return sampling_share(self.rules.sample_share, self.local)

    @property
    def line(self) -> risk_control.BeliefLine:
        """The map from confidence to belief."""
        return risk_control.line_of(self.calibration, self.local.data, self.rules.findings.broken)

    def routes(self, verdict: Verdict, filing: Filing, recognised: bool) -> Sequence[Route]:
        """The route of each finding, before audit samples are drawn."""
        made = self.guarantee
        if made:
            made = risk_control.filing_guarantee(verdict, filing, made, recognised)
            made = risk_control.revoked_if(made, KIND_UNSURE if self.kind_unsure else "")
        return risk_control.route_findings(verdict, made)

    def sample(self, finding: ReportFinding) -> ReportFinding:
        """The finding, routed to a person if it is drawn as an audit sample."""
        if finding.route != "accept" or draw(self.key, "sample", finding.id) >= self.share:
            return finding
        return replace(finding, route="review", sampled=True)

    def questions(
        self, filing: Filing, findings: Sequence[ReportFinding], excluded: str
    ) -> list[ResultQuestion]:
        """The questions about a filing that are worth their price.

        If a model's answer may accept a finding, there are none about filings that are excluded
        from the guarantee, or that may be no reports.
        """
        if self.asks_nothing or (self.trusts_models and (self.kind_unsure or excluded)):
            return []
        return self.find_questions(filing, findings)

    @property
    def asks_nothing(self) -> bool:
        """Whether no model may be asked, or monitoring has ended all acceptance by models."""
        return not self.asks.prices or (self.trusts_models and self.local.step >= STEPS)

    @property
    def trusts_models(self) -> bool:
        """Whether a model's answer may accept a finding."""
        return self.rules.trust == "measured" and self.rules.findings.max_wrong is not None

    def find_questions(
        self, filing: Filing, findings: Sequence[ReportFinding]
    ) -> list[ResultQuestion]:
        """The questions about any filing that are worth their price."""
        belief = {finding.id: self.belief(finding) for finding in findings}
        others = other_kinds("report", self.kind_unsure)
        return list(find_questions(filing, findings, belief, self.asks, self.rules, others))

    def belief(self, finding: ReportFinding) -> float:
        """Probability that a finding is right."""
        return self.line.belief_of(finding.finding.confidence)
