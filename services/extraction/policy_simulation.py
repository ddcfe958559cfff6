"""Simulate policies on contracts that were read before. Nothing is read again or changed.

The stored clauses and warnings are routed again by the code that routes new documents. A person's
decision about a clause says whether it was right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.extraction.domain import ExtractedClause, Pass, apply_routes
from services.extraction.pipeline.search import ClauseSpan, Search
from services.extraction.questions import results_to_ask
from services.extraction.routing.routes import (
    StatedRisk,
    belief_function,
    route_clauses,
    stated_risk,
)
from services.extraction.store import Extractions
from shared.documents import ParsedDocument
from shared.events import Route
from shared.inference import Specialist
from shared.monitoring.monitor import sampling_share
from shared.monitoring.policy_simulation import PolicySimulation
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION, TenantCalibration
from shared.policy.escalation_value import TenantEscalationRules
from shared.policy.rules import RiskRules
from shared.storage import Store

NO_DECISIONS: Mapping[str, AuditSample] = {}


@dataclass(frozen=True)
class PastContract:
    """One document as it was read, with the clauses of all specialists."""

    passes: Sequence[Pass]
    clauses: Sequence[ExtractedClause]
    reading: ParsedDocument | None


def past_contracts(
    store: Store, tenant: str, reading_of: Callable[[str], ParsedDocument | None]
) -> Iterator[PastContract]:
    """Yield every document of a tenant with stored clauses.

    Args:
        reading_of: returns the reading of a document by its id; None if it is gone.
    """
    with store.read() as session:
        found = Extractions(session, tenant)
        for document in found.done():
            if extraction := found.get(document):
                passes, clauses = extraction.passes, found.all_clauses(document)
                yield PastContract(passes, clauses, reading_of(document))


def simulate(
    documents: Iterable[PastContract],
    policies: Sequence[tuple[RiskRules, TenantEscalationRules]],
    specialist: Callable[[str], Specialist | None],
    verdicts: Mapping[str, str],
    key: bytes,
    local: Callable[[str, str], TenantCalibration] = lambda _name, _version: SHIPPED_CALIBRATION,
    decisions: Mapping[str, AuditSample] = NO_DECISIONS,
) -> list[PolicySimulation]:
    """Count the results of each policy on the documents.

    Args:
        policies: what may be accepted, and whom the tenant may ask.
        specialist: returns the installed one of a name.
        verdicts: of people, by the id of the clause.
        key: the secret that audit samples are drawn with.
        local: returns the calibration of a specialist in the tenant, by name and version.
        decisions: the samples that monitoring has stored, by the id of the clause.
    """
    tallies = [PolicySimulation() for _ in policies]
    for one in documents:
        for passed in one.passes:
            clauses = [clause for clause in one.clauses if clause.adapter == passed.adapter]
            spans = [ClauseSpan(c.category, c.text, c.start, c.end, c.confidence) for c in clauses]
            expert, here = specialist(passed.adapter), local(passed.adapter, passed.version)
            belief = belief_function(expert, here) if expert else _no_belief
            for (rules, asks), tally in zip(policies, tallies, strict=True):
                stated = _stated_risk(passed, expert, one.reading, rules, here)
                if stated and stated.no_guarantee_reason and clauses:
                    tally.no_guarantee_reason[stated.no_guarantee_reason] += len(clauses)
                for reason in stated.tightened if stated else ():
                    tally.tightened[f"{passed.adapter}: {reason}"] = None
                routes: list[Route] = ["review"] * len(clauses)
                if one.reading is not None:
                    routes = route_clauses(spans, one.reading, stated)
                share = sampling_share(rules.sample_share, here)
                rerouted = list(apply_routes(clauses, routes, share, key))
                for clause in rerouted:
                    known = decisions.get(clause.id)
                    tally.add(
                        clause.category,
                        clause.text,
                        clause.route,
                        clause.sampled,
                        belief(clause.category, clause.confidence),
                        verdicts.get(clause.id),
                        known.decided_result if known else None,
                    )
                if expert is not None and expert.manifest.version == passed.version:
                    searched, owner = passed.searched, ("", "", passed.adapter)
                    asked = results_to_ask(
                        rerouted, searched, one.reading, expert, here, rules, asks, owner
                    )
                    tally.escalated += len(asked)
                    tally.usd += sum(doubt.usd for doubt in asked)
    return tallies


def _no_belief(_category: str, _confidence: float) -> float:
    """No clause of a removed specialist is accepted."""
    return 0.0


def _stated_risk(
    passed: Pass,
    expert: Specialist | None,
    reading: ParsedDocument | None,
    rules: RiskRules,
    local: TenantCalibration,
) -> StatedRisk | None:
    """The guarantee for the clauses that a specialist found in a past document."""
    if rules.max_wrong is None:
        return None
    why, name = "", f"{passed.adapter} {passed.version}"
    if expert is None:
        why = f"{name} read it, and it is not installed."
    elif expert.manifest.version != passed.version:
        why = f"{name} read it, and {expert.manifest.version} is installed: reprocess it."
    elif reading is None:
        why = "The reading of its pages is gone."
    if expert is None or why:
        return StatedRisk(rules.max_wrong, rules.level, no_guarantee_reason=why)
    searched = passed.searched
    return stated_risk(
        expert, Search([], [], searched.warnings), rules, local, searched.kind_unsure
    )
