"""Who promises what: extraction of clauses, triage of findings, each in a database of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from services.cli.specialists import installed
from services.cli.stores import stored
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from services.extraction.settings import Settings as Extraction
    from services.triage.settings import Settings as Triage
    from shared.policy import RiskRules
    from shared.settings import CommonSettings
    from shared.storage import Store
    from shared.storage.watches import Watches
    from shared.watch.calibrating import Refit

FINDINGS = "triage-breaks"
"""What judges reports: what it promises is of findings, in the database of triage."""


def promising(adapter: str, data: Path | None) -> Promising:
    """Who promises what a specialist accepts, in the suite of a data folder."""
    return Findings.of(data) if adapter == FINDINGS else Clauses.of(data, adapter)


class Promising(Protocol):
    """What is promised of clauses, or of findings."""

    @property
    def settings(self) -> CommonSettings:
        """Of the service that promises it."""

    @property
    def whose(self) -> str:
        """Of what the risk is, where the policy states several."""

    @property
    def watches(self) -> type[Watches]:
        """Its tables."""

    def opened(self) -> AbstractContextManager[Store]:
        """The database of that service."""

    def max_wrong(self, rules: RiskRules) -> float | None:
        """The risk that the policy states."""

    def at(self, rules: RiskRules, max_wrong: float) -> RiskRules:
        """The policy with another one."""

    def refitted(self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool) -> Refit:
        """What the decisions of a tenant make of the calibration."""


@dataclass(frozen=True)
class Clauses:
    """What a specialist of contracts promises."""

    settings: Extraction
    adapter: str
    whose: str = ""

    @classmethod
    def of(cls, data: Path | None, adapter: str) -> Clauses:
        """Of the suite of a data folder."""
        from services.extraction.settings import Settings
        from shared.settings import load

        return cls(load(Settings, **_given(data=data)), adapter)

    @property
    def watches(self) -> type[Watches]:
        """See Promising."""
        from services.extraction.watch.store import Watches

        return Watches

    def opened(self) -> AbstractContextManager[Store]:
        """See Promising."""
        from services.extraction.store import MIGRATIONS

        url = self.settings.extraction_database_url
        return stored(self.settings, "extraction", url, MIGRATIONS)

    def max_wrong(self, rules: RiskRules) -> float | None:
        """See Promising."""
        return rules.max_wrong

    def at(self, rules: RiskRules, max_wrong: float) -> RiskRules:
        """See Promising."""
        return rules.model_copy(update={"max_wrong": max_wrong})

    def refitted(self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool) -> Refit:
        """See Promising."""
        from services.extraction.pipeline import usually_above
        from services.extraction.store import Extractions
        from services.extraction.watch import calibrating
        from shared.inference import MissingAdapter

        expert = installed(self.settings)(self.adapter)
        if expert is None:
            raise MissingAdapter(f"there is no specialist {self.adapter!r}")
        name, version = expert.manifest.name, expert.manifest.version
        with store.read() as session:
            kept, watches = Extractions(session, tenant), self.watches(session, tenant)
            read = [
                (document, one.passes, kept.all_clauses(document))
                for document in kept.extracted()
                if (one := kept.get(document))
            ]
            decided = watches.decided(name, version)
            found, unfinished = calibrating.complete(
                read, decided, name, version, usually_above(expert)
            )
            local = watches.local(name, version)
        return calibrating.refit(expert, local, rules, found, unfinished, with_shipped)


@dataclass(frozen=True)
class Findings:
    """What triage promises."""

    settings: Triage
    whose: str = "findings of "

    @classmethod
    def of(cls, data: Path | None) -> Findings:
        """Of the suite of a data folder."""
        from services.triage.settings import Settings
        from shared.settings import load

        return cls(load(Settings, **_given(data=data)))

    @property
    def watches(self) -> type[Watches]:
        """See Promising."""
        from services.triage.watch.store import Watches

        return Watches

    def opened(self) -> AbstractContextManager[Store]:
        """See Promising."""
        from services.triage.store import MIGRATIONS

        return stored(self.settings, "triage", self.settings.triage_database_url, MIGRATIONS)

    def max_wrong(self, rules: RiskRules) -> float | None:
        """See Promising."""
        return rules.findings.max_wrong

    def at(self, rules: RiskRules, max_wrong: float) -> RiskRules:
        """See Promising."""
        findings = rules.findings.model_copy(update={"max_wrong": max_wrong})
        return rules.model_copy(update={"findings": findings})

    def refitted(self, store: Store, tenant: str, rules: RiskRules, with_shipped: bool) -> Refit:
        """See Promising. Raises NoModel where nothing was learned."""
        from services.triage.risk import Judge
        from services.triage.store import Reports
        from services.triage.watch import calibrating

        judge = Judge.load(self.settings.artefacts_folder)
        name, version = judge.model.name, judge.model.version
        with store.read() as session:
            watches = self.watches(session, tenant)
            there = set(Reports(session, tenant).triaged())
            asked = watches.asked(name, version)
            found, whole, begun, waiting = calibrating.complete(asked, there)
            local = watches.local(name, version)
        return calibrating.refit(judge, local, rules, found, whole, begun, with_shipped, waiting)
