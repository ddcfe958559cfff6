"""Analysis of one contract: its clauses, their routes, and questions to a frontier model.

It stores nothing and sends no events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from services.extraction import domain
from services.extraction.pipeline.search import search
from services.extraction.questions import (
    OWNER,
    UncertainResult,
    escalation_request,
    mark_escalated,
    question_batches,
    question_blob,
    results_to_ask,
)
from services.extraction.routing import routes
from services.extraction.values import DocumentValue, document_title, document_values
from shared import metrics
from shared.blobs.markers import ref_of
from shared.documents import ParsedDocument
from shared.events import (
    AdapterVersion,
    BlobRef,
    DocumentRead,
    DocumentTitle,
    EscalationRequested,
)
from shared.events.questions import Question
from shared.events.searched import SearchedCategory, SearchedContract, Term
from shared.inference import Specialist
from shared.monitoring.monitor import sampling_share
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.escalation_value import TenantEscalationRules, other_kinds
from shared.policy.risk_control import RiskGuarantee
from shared.policy.rules import RiskRules
from shared.tracing import span


@dataclass(frozen=True)
class SpecialistResult:
    """The clauses that one specialist found in a contract, with their routes."""

    expert: Specialist
    clauses: Sequence[domain.ExtractedClause]  # with their routes
    passed: domain.Pass
    reader: AdapterVersion
    local: TenantCalibration  # the tenant's calibration when the clauses were routed
    share: float  # of the clauses that could be accepted, drawn as audit samples
    guaranteed: bool  # whether the document is like those of the calibration data
    remaining: RiskGuarantee | None
    """The guarantee without the suspended categories; None if no category is suspended."""
    asked: Sequence[UncertainResult]


@dataclass(frozen=True)
class ContractAnalysis:
    """The results of all specialists for a contract."""

    results: Sequence[SpecialistResult]
    clauses: Sequence[domain.ExtractedClause]  # of all specialists, in the order of the text
    questions: Sequence[Sequence[Question]]  # in batches of one prompt each

    @property
    def passes(self) -> tuple[domain.Pass, ...]:
        """The search of each specialist."""
        return tuple(result.passed for result in self.results)

    @cached_property
    def listed(self) -> bytes:
        """The blob of clauses that the event names."""
        listed = [clause.to_json() for clause in self.clauses]
        return json.dumps(listed, ensure_ascii=False).encode()

    @cached_property
    def values(self) -> list[DocumentValue]:
        """The values of the contract."""
        return document_values([clause.context for clause in self.clauses])

    @cached_property
    def searched(self) -> bytes:
        """The blob of searched categories and values that the event names."""
        search = domain.combined_record(self.passes)
        names = {line.category for line in search.categories}
        found = SearchedContract(
            categories=tuple(
                SearchedCategory(
                    category=line.category,
                    probability=line.probability,
                    page=line.nearest.page if line.nearest else None,
                )
                for line in search.categories
            ),
            terms=tuple(
                Term.model_validate(line.to_json())
                for line in self.values
                if line.category in names
            ),
        )
        return found.model_dump_json().encode()

    @cached_property
    def title(self) -> DocumentTitle | None:
        """The title of the contract by its clauses."""
        return document_title(self.values, {one.id: one.confidence for one in self.clauses})

    @property
    def blobs(self) -> list[bytes]:
        """All blobs of the document: clauses, search, title if it has one, and each question."""
        questions = (question_blob(one) for batch in self.questions for one in batch)
        titles = [self.title.model_dump_json().encode()] if self.title else []
        return [self.listed, self.searched, *titles, *questions]

    @cached_property
    def refs(self) -> list[BlobRef]:
        """The references of the blobs, in their order."""
        return [ref_of(data, OWNER) for data in self.blobs]

    def requests(self, event: DocumentRead) -> list[EscalationRequested]:
        """The events that ask the questions."""
        return [escalation_request(event, batch) for batch in self.questions]


@dataclass(frozen=True)
class TenantPolicy:
    """The risk rules and the escalation rules of a tenant."""

    rules: RiskRules
    asks: TenantEscalationRules
    key: bytes  # the secret that audit samples are drawn with


def analyse(
    event: DocumentRead,
    document: ParsedDocument,
    experts: Sequence[tuple[Specialist, TenantCalibration]],
    policy: TenantPolicy,
) -> ContractAnalysis:
    """Find and route clauses of a contract, and choose questions.

    Args:
        experts: the specialists that read it, each with the tenant's calibration.
    """
    results = [_read_by(expert, local, document, event, policy) for expert, local in experts]
    clauses = domain.sort_by_position(clause for result in results for clause in result.clauses)
    unsure = [doubt for result in results for doubt in result.asked]
    may_be = other_kinds("contract", event.kind_unsure)
    questions = list(question_batches(unsure, document.text, event.text, clauses, may_be))
    return ContractAnalysis(results, clauses, questions)


def _read_by(
    expert: Specialist,
    local: TenantCalibration,
    document: ParsedDocument,
    event: DocumentRead,
    policy: TenantPolicy,
) -> SpecialistResult:
    name, version, rules = expert.manifest.name, expert.manifest.version, policy.rules
    began = time.monotonic()
    with span(f"infer {name}", {"smallprint.adapter_version": version}) as infers:
        showing = routes.stated_missed(expert, rules)
        above = showing.above if showing else None
        found = search(document.text, expert, skip=document.furniture, above=above)
        infers.set({"smallprint.tokens": found.tokens, "smallprint.found": len(found.clauses)})
    reader = AdapterVersion(
        name=name,
        version=version,
        seconds=time.monotonic() - began,
        tokens=found.tokens,
        quoted=found.quoted,
    )
    metrics.tokens_total.labels(name).inc(found.tokens)
    stated = routes.stated_risk(expert, found, rules, local, event.kind_unsure)
    missed = routes.stated_missed_for(showing, found, document, event.kind_unsure)
    searched = replace(domain.search_record(found, document), kind_unsure=event.kind_unsure)
    owner = (event.tenant, event.document_id, name)
    evident = domain.add_evidence(found.clauses, owner, document.page_at, document.boxes_of)
    share = sampling_share(rules.sample_share, local)
    chosen = routes.route_clauses(found.clauses, document, stated)
    own = list(domain.apply_routes(evident, chosen, share, policy.key))
    asked = results_to_ask(own, searched, document, expert, local, rules, policy.asks, owner)
    data = local.data or expert.guarantee
    return SpecialistResult(
        expert=expert,
        clauses=list(mark_escalated(own, asked)),
        passed=domain.Pass(name, version, searched, stated, missed),
        reader=reader,
        local=local,
        share=share,
        guaranteed=not (searched.warnings or event.kind_unsure),
        remaining=routes.remaining_guarantee(data, rules, local.suspended)
        if data and stated and stated.belief
        else None,
        asked=asked,
    )
