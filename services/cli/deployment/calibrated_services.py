"""The services with a risk guarantee: extraction for clauses, triage for findings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from services.cli.deployment.specialists import all_specialists
from services.cli.deployment.stores import open_store
from services.cli.options import load_settings

if TYPE_CHECKING:
    from shared.monitoring.recalibration import RefitResult
    from shared.monitoring.store import MonitoringStore
    from shared.policy.rules import RiskRules
    from shared.settings import CommonSettings
    from shared.storage import Store

FINDINGS = "triage-breaks"  # the specialist that judges reports; its guarantee is about findings


def calibrated_service(adapter: str, data: Path | None) -> CalibratedService:
    """The service with the guarantee of a specialist, in the suite of a data folder."""
    kind = Findings if adapter == FINDINGS else Clauses
    return kind(load_settings(data), adapter)


@dataclass(frozen=True)
class CalibratedService(ABC):
    """A guarantee about clauses or findings."""

    settings: CommonSettings
    adapter: str

    service: ClassVar[str]
    subject: ClassVar[str] = ""  # the results that the risk is about, if the policy states several

    @property
    def monitoring(self) -> type[MonitoringStore]:
        """The tables of its monitoring."""
        module = import_module(f"services.{self.service}.monitoring.store")
        return cast("type[MonitoringStore]", module.MonitoringStore)

    def opened(self) -> AbstractContextManager[Store]:
        """The database of the service."""
        return open_store(self.settings, self.service)

    def max_wrong(self, rules: RiskRules) -> float | None:
        """The risk that the policy states."""
        return rules.max_wrong

    def at(self, rules: RiskRules, max_wrong: float) -> RiskRules:
        """The policy with another risk."""
        return rules.model_copy(update={"max_wrong": max_wrong})

    @abstractmethod
    def refitted(
        self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool
    ) -> RefitResult:
        """The calibration fitted again with the decisions of a tenant."""


class Clauses(CalibratedService):
    """The guarantee of a specialist for contracts."""

    service = "extraction"

    def refitted(
        self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool
    ) -> RefitResult:
        """See CalibratedService."""
        from services.extraction.monitoring import recalibration
        from services.extraction.pipeline.search import default_threshold
        from services.extraction.store import Extractions

        expert = all_specialists(self.settings).get(self.adapter)
        name, version = expert.manifest.name, expert.manifest.version
        with store.read() as session:
            extractions, monitoring = Extractions(session, tenant), self.monitoring(session, tenant)
            read = [
                (document, one.passes, extractions.all_clauses(document))
                for document in extractions.done()
                if (one := extractions.get(document))
            ]
            decided = monitoring.decided_samples(name, version)
            decisions, unfinished = recalibration.complete(
                read, decided, name, version, default_threshold(expert)
            )
            local = monitoring.tenant_calibration(name, version)
        return recalibration.refit(expert, local, rules, decisions, unfinished, with_shipped)


class Findings(CalibratedService):
    """The guarantee of triage."""

    service = "triage"
    subject = "findings of "

    def max_wrong(self, rules: RiskRules) -> float | None:
        """See CalibratedService."""
        return rules.findings.max_wrong

    def at(self, rules: RiskRules, max_wrong: float) -> RiskRules:
        """See CalibratedService."""
        findings = rules.findings.model_copy(update={"max_wrong": max_wrong})
        return rules.model_copy(update={"findings": findings})

    def refitted(
        self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool
    ) -> RefitResult:
        """See CalibratedService. Raises NoModel if there is no trained model."""
        from services.triage.checks.classifier import BreakClassifier
        from services.triage.monitoring import recalibration
        from services.triage.store import Reports

        classifier = BreakClassifier.load(self.settings.artefacts_folder)
        name, version = classifier.model.name, classifier.model.version
        with store.read() as session:
            monitoring = self.monitoring(session, tenant)
            triaged = set(Reports(session, tenant).done())
            checks = monitoring.samples(name, version)
            decisions, unfinished, started, waiting = recalibration.decided_documents(
                checks, triaged
            )
            local = monitoring.tenant_calibration(name, version)
        return recalibration.refit(
            classifier, local, rules, decisions, unfinished, started, with_shipped, waiting
        )
