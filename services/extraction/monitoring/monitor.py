"""Monitoring of the risk guarantee of clauses: the data from documents and decisions.

`shared/monitoring/monitor.py` draws the conclusions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from services.extraction.analysis import SpecialistResult
from services.extraction.domain import ExtractedClause
from services.extraction.monitoring import drift_features
from services.extraction.monitoring.store import MonitoringStore
from services.extraction.pipeline.search import default_threshold
from services.extraction.routing.routes import StatedRisk, load_calibration, min_belief
from shared.monitoring.monitor import (
    count_document,
    drift_noticed,
    note_figures,
    report_drift,
    start_guarantee,
)
from shared.monitoring.store import AuditSample, MonitoringNotice, MonitoringState, RemainingBelief
from shared.policy.intervals import Floats, interval
from shared.policy.risk_control import Calibration
from shared.storage.secret import draw


def note_clauses(
    watches: MonitoringStore, document_id: str, result: SpecialistResult, key: bytes
) -> list[MonitoringNotice]:
    """Store the audit samples and the drift figures of a document; return the notices.

    Samples of a document count for no test if another version has read it, or if people decided
    about it before. The undecided rest is then no random sample, because people chose what to
    decide.

    `watches` is in the transaction that stores the clauses; `key` is the secret of the draws.
    """
    stated, local = result.passed.risk, result.local
    name, version = result.expert.manifest.name, result.expert.manifest.version
    early = _update_decisions(watches, document_id, result)
    data = local.data or result.expert.guarantee
    if stated is None or data is None:
        return []
    known = load_calibration(data)
    state = watches.state(name, lock=True)
    if stated.belief is not None and stated.guarantee != state.guarantee:
        state = start_guarantee(watches, state, stated.guarantee, _terms(known, stated))
    if result.remaining is not None and frozenset(state.suspended) == local.suspended:
        state = state.with_remaining_belief(min_belief(result.remaining))
    again = early or watches.has_other_version(name, [document_id], _reference_of(result))
    now, notices = state, list[MonitoringNotice]()
    if result.guaranteed:
        now, notices = _note_drift(watches, document_id, state, data, result, key)
    watches.save(now)
    for clause in (clause for clause in result.clauses if clause.sampled):
        before = watches.find(clause.id)
        counts = not again or (before is not None and before.guarantee == stated.guarantee)
        if before is None or before.wrong is None:
            belief = known.belief_of(clause.category, clause.confidence)
            guarantee = stated.guarantee if counts else ""
            watches.save_sample(
                _sample(clause, document_id, version, belief, guarantee, result.share, True)
            )
    for notice in notices:
        watches.add_notice(notice)
    return notices


def _sample(
    clause: ExtractedClause,
    document_id: str,
    version: str,
    belief: float = 0.0,
    guarantee: str = "",
    share: float = 1.0,
    sampled: bool = False,
) -> AuditSample:
    known = (clause.id, document_id, clause.adapter, version, clause.category, clause.confidence)
    return AuditSample(*known, belief, guarantee, share, sampled)


def _update_decisions(watches: MonitoringStore, document_id: str, result: SpecialistResult) -> bool:
    """Let earlier decisions about the clauses count for this version; nobody is asked again.

    Each is weighted by the share it would have been drawn with. Returns whether any decision was
    not about an audit sample.
    """
    if not watches.decisions(document_id):
        return False
    manifest = result.expert.manifest
    watches.state(manifest.name, lock=True)  # this lock also protects the decisions
    decided = watches.decisions(document_id)
    for clause in result.clauses:
        if (known := decided.get(clause.id)) is None:
            continue
        share, sure = result.share if clause.sampled else 1.0, clause.confidence
        now = replace(known, version=manifest.version, confidence=sure, share=share)
        if now != known:
            watches.save_sample(now)
    return any(known.adapter == manifest.name and not known.sampled for known in decided.values())


def _reference_of(result: SpecialistResult) -> str:
    """The name of the calibration that drift figures are compared with."""
    return f"{result.expert.manifest.version}+{result.local.number}"


def _terms(known: Calibration, stated: StatedRisk) -> dict[str, object]:
    belief = stated.belief or 1.0
    return {
        "risk": stated.max_wrong,
        "belief": belief,
        "categories": len(known.labels),
        "tolerated": tolerated_error_rates(known, belief, stated.max_wrong),
    }


def tolerated_error_rates(known: Calibration, belief: float, risk: float) -> dict[str, float]:
    """The error rate that a guarantee for all categories tolerates in each.

    It is the upper confidence limit in the calibration set; only rates above `risk` are listed.
    """
    accepted = known.served >= belief
    found = {}
    for place, name in enumerate(known.labels):
        mine = accepted & (known.label == place)
        high = interval(int(known.wrong[mine].sum()), int(mine.sum()))[1]
        if high > risk:
            found[name] = min(high, 0.95)
    return found


@lru_cache(maxsize=8)
def _reference(data: bytes) -> dict[str, Floats]:
    return drift_features.reference(load_calibration(data))


def _note_drift(
    watches: MonitoringStore,
    document_id: str,
    state: MonitoringState,
    data: bytes,
    result: SpecialistResult,
    key: bytes,
) -> tuple[MonitoringState, list[MonitoringNotice]]:
    """The state of monitoring after the drift figures of a document, and the notices."""
    known = _reference(data)
    reference = _reference_of(result)
    usual = default_threshold(result.expert)  # the reference has only clauses above it
    pairs = [(c.category, c.confidence) for c in result.clauses if c.confidence > usual]
    figures = drift_features.figures(load_calibration(data), pairs)
    if not known or not figures:
        return state, []

    def chance(name: str) -> float:
        return draw(key, f"figure {name}", document_id)

    now = note_figures(watches, state, document_id, figures, reference, known, chance)
    if not drift_noticed(now):
        return now, []
    what = f"the documents that come in are unlike those that {state.adapter} was calibrated on"
    now, notice = report_drift(now, what, result.share)
    return now, [notice]


def note_decision(
    watches: MonitoringStore,
    clause: ExtractedClause,
    document_id: str,
    version: str,
    wrong: bool | None,
    left_of: Callable[[str], RemainingBelief],
) -> list[MonitoringNotice]:
    """Count a person's decision about a clause; return the notices.

    Args:
        version: of the specialist that found the clause.
        wrong: whether the clause was wrong; None if the decision was undone.
        left_of: returns for a guarantee how its remaining categories are accepted.
    """
    state = watches.state(clause.adapter, lock=True)
    known = watches.find(clause.id)
    if known is None:
        if clause.route == "accept" or wrong is None:
            return []  # a person chose to look at it, so it is no random sample
        known = _sample(clause, document_id, version)
    watches.save_sample(replace(known, wrong=wrong))
    if not known.sampled:
        return []
    samples = watches.document_samples(document_id, state.adapter)
    remaining_of = left_of(state.guarantee)
    return count_document(watches, state, samples, remaining_of=remaining_of)
