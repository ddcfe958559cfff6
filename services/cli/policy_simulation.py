"""Try policies on the contracts and reports of a data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.cli.deployment.specialists import installed
from services.cli.deployment.stores import has_database, open_store

if TYPE_CHECKING:
    from services.extraction.policy_simulation import PastContract
    from services.triage.policy_simulation import PastReport
    from shared.documents import ParsedDocument
    from shared.monitoring.policy_simulation import PolicySimulation
    from shared.monitoring.tenant_calibration import TenantCalibration
    from shared.policy.escalation_value import TenantEscalationRules
    from shared.policy.rules import RiskRules
    from shared.settings import CommonSettings
    from shared.storage import Store

    Policies = Sequence[tuple[RiskRules, TenantEscalationRules]]


def tried_policies(settings: CommonSettings, tenant: str, policies: Policies) -> dict[str, Any]:
    """Compare the active policy with another one on a tenant's documents, for `policy try`. Raises
    SettingsError if the folder has no database of this version.
    """
    from services.review.handlers import document_reading
    from services.review.store import find_document, verdicts
    from shared.blobs import MissingBlob, open_blobs

    blobs = open_blobs(settings.blobs_url, settings.blobs, "review")
    with (
        open_store(settings, "extraction") as extraction,
        open_store(settings, "triage") as triage,
        open_store(settings, "review") as review,
        review.read() as session,
    ):
        decided = verdicts(session, tenant)

        def reading_of(document_id: str) -> ParsedDocument | None:
            document = find_document(session, tenant, document_id)
            try:
                return document_reading(document, blobs) if document else None
            except MissingBlob:
                return None

        return {
            **_contracts(settings, extraction, tenant, policies, decided, reading_of),
            "reports": _reports(settings, triage, tenant, policies, decided),
        }


def _unsure(settings: CommonSettings, tenant: str) -> frozenset[str]:
    """Ids of documents that wait for a person to set the kind."""
    from services.ingest.store import unsure_kinds

    if not has_database(settings, "ingest"):
        return frozenset()
    with open_store(settings, "ingest") as store, store.read() as session:
        return unsure_kinds(session, tenant)


def _contracts(
    settings: CommonSettings,
    store: Store,
    tenant: str,
    policies: Policies,
    decided: Mapping[str, str],
    reading_of: Callable[[str], ParsedDocument | None],
) -> dict[str, Any]:
    """The part about contracts; `decided` are verdicts of people by result id."""
    from services.extraction.monitoring.store import MonitoringStore
    from services.extraction.policy_simulation import past_contracts, simulate
    from shared.storage.secret import draw_key

    count = {"documents": 0}

    def counted(documents: Iterator[PastContract]) -> Iterator[PastContract]:
        for one in documents:
            count["documents"] += 1
            yield one

    with store.read() as session:
        documents = counted(past_contracts(store, tenant, reading_of))
        key, watches = draw_key(session), MonitoringStore(session, tenant)
        decisions = watches.decisions()
        tallies = simulate(
            documents,
            policies,
            installed(settings),
            decided,
            key,
            watches.tenant_calibration,
            decisions,
        )
    shown = [
        {
            "max_wrong": rules.max_wrong,
            "level": rules.level,
            "trust": rules.trust,
            **_tally(tally),
        }
        for (rules, _), tally in zip(policies, tallies, strict=True)
    ]
    results = {"clauses": tallies[0].results, "decided": tallies[0].results_decided}
    return {**count, **results, "now": shown[0], "tried": shown[1]}


def _reports(
    settings: CommonSettings,
    store: Store,
    tenant: str,
    policies: Policies,
    decided: Mapping[str, str],
) -> dict[str, Any]:
    """The part about reports; `untried` are reports whose stored data does not suffice."""
    from services.triage.checks.classifier import BreakClassifier, model_of
    from services.triage.monitoring.store import MonitoringStore
    from services.triage.policy_simulation import past_reports, simulate
    from services.triage.routing.risk_control import tenant_guarantee
    from shared.blobs import open_blobs
    from shared.storage.secret import draw_key

    count = {"documents": 0, "untried": 0}

    def known(documents: Iterator[PastReport | None]) -> Iterator[PastReport]:
        for one in documents:
            count["documents"] += 1
            if one is None:
                count["untried"] += 1
            else:
                yield one

    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    classifier = BreakClassifier.load_if_installed(settings.artefacts_folder)
    model = model_of(classifier)
    with store.read() as session:
        key = draw_key(session)
        watches = MonitoringStore(session, tenant)
        local, decisions = (
            watches.tenant_calibration(model.name, model.version),
            watches.decisions(),
        )
    documents = known(past_reports(store, blobs, tenant, _unsure(settings, tenant)))
    tallies = simulate(documents, policies, classifier, decided, key, local, decisions)
    came = classifier.guarantee if classifier else None
    made = [tenant_guarantee(came, rules.findings, rules.level, local) for rules, _ in policies]
    shown = [
        {
            "max_wrong": rules.findings.max_wrong,
            **_rests_on(rules, local),
            "level": rules.level,
            "threshold": promise.threshold if promise else None,
            **_tally(tally, _title),
        }
        for (rules, _), promise, tally in zip(policies, made, tallies, strict=True)
    ]
    results = {"findings": tallies[0].results, "decided": tallies[0].results_decided}
    return {**count, **results, "now": shown[0], "tried": shown[1]}


def _rests_on(rules: RiskRules, local: TenantCalibration) -> dict[str, Any]:
    """Whether the guarantee for findings depends on the stated share of broken reports, or on a
    calibration made here, by its number.
    """
    return {"calibration": local.number} if local.data else {"broken": rules.findings.broken}


def _title(check: str) -> str:
    from services.triage.check_pages import page_of

    page = page_of(check)
    return page.title if page else check


def _tally(tally: PolicySimulation, title: Callable[[str], str] | None = None) -> dict[str, Any]:
    """The results of a policy; `title` gives the display name of a category."""
    from services.review.priority import SECONDS, WORDS_A_MINUTE

    seconds = tally.reviewed * SECONDS + tally.words_reviewed / WORDS_A_MINUTE * 60
    return {
        "accepted": tally.accepted,
        "escalated": tally.escalated,
        "reviewed": tally.reviewed,
        "sampled": tally.sampled,
        "review_hours": seconds / 3600,
        "cost_usd": tally.usd,
        **_errors(tally),
        "expected_errors_by_category": {
            category: {
                "expected_errors": errors,
                "accepted": accepted,
                **({"title": title(category)} if title else {}),
            }
            for category, (errors, accepted) in tally.errors_by_category().items()
        },
        "accepted_and_decided": tally.decided,
        "changed": tally.changed,
        "tightened": list(tally.tightened),
        "no_guarantee_reason": dict(tally.no_guarantee_reason),
    }


def _errors(tally: PolicySimulation) -> dict[str, Any]:
    """How many of the accepted results are expected to be wrong: by decisions here and by the
    calibration set, with the higher estimate first.
    """
    by_set: dict[str, Any] = {
        "expected_errors": tally.expected_errors,
        "expected_errors_interval": tally.errors_within(),
    }
    seen = tally.observed_errors()
    by_people: dict[str, Any] | None = None
    if seen is not None:
        errors, within = tally.estimated_errors(seen)
        by_people = {
            "expected_errors": errors,
            "expected_errors_interval": within,
            "share": seen.share,
            "decided": seen.decided,
            "wrong": seen.wrong,
        }
    worse = bool(by_people and by_people["expected_errors"] > by_set["expected_errors"])
    first = by_people if by_people and worse else by_set
    return {
        **{name: first[name] for name in by_set},
        "expected_errors_by": "decisions" if worse else "calibration",
        "by_calibration": by_set,
        "by_decisions": by_people,
    }
