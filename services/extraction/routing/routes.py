"""Routes: whether the machine accepts a clause, or a person decides.

A clause is accepted if it is sure enough for the stated risk (`shared/policy/risk_control.py`).
The specialist must have calibration data, the document no warning, and the page no OCR.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from services.extraction.pipeline.search import ClauseSpan, Search, default_threshold
from services.extraction.routing.recall_target import CONFIDENCES, RecallThreshold, recall_threshold
from shared.documents import ParsedDocument
from shared.documents.pages.tesseract import METHOD
from shared.errors import SettingsError
from shared.events import Route
from shared.inference import Specialist
from shared.monitoring.sequential_test import STEPS, acceptance_belief
from shared.monitoring.tenant_calibration import (
    SHIPPED_CALIBRATION,
    TenantCalibration,
    guarantee_name,
)
from shared.policy.risk_control import (
    NEVER,
    Calibration,
    RiskGuarantee,
    control_risk,
    read_calibration,
)
from shared.policy.rules import KIND_UNSURE, RiskRules
from shared.storage.secret import draw


@dataclass(frozen=True)
class StatedRisk:
    """The guarantee for the accepted clauses of one specialist in one document."""

    max_wrong: float  # at most this share of the accepted clauses is wrong ...
    level: float  # ... with this confidence
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Least confidence of an accepted clause, by category; none is accepted in a category without.
    """
    families: int = 0  # company families that the guarantee is based on
    no_guarantee_reason: str = ""  # why nothing is accepted
    guarantee: str = ""
    """Name of the guarantee and its calibration set; audit samples count for this one only."""
    belief: float | None = None  # least belief of an accepted clause before any tightening
    tightened: tuple[str, ...] = ()  # why less is accepted after wrong audit samples

    def accepts(self, category: str, confidence: float) -> bool:
        """Whether a clause is sure enough."""
        return confidence >= self.thresholds.get(category, NEVER)


@dataclass(frozen=True)
class StatedMissed:
    """The guarantee for the true clauses that one specialist does not show in one document."""

    max_missed: float  # at most this share of the true clauses is not shown ...
    level: float  # ... with this confidence
    above: float  # clauses above this confidence are shown
    families: int = 0  # company families that the guarantee is based on
    no_guarantee_reason: str = ""  # why nothing is guaranteed


def stated_risk(
    specialist: Specialist,
    result: Search,
    rules: RiskRules,
    local: TenantCalibration = SHIPPED_CALIBRATION,
    kind_unsure: bool = False,
) -> StatedRisk | None:
    """Return the guarantee for a document; None if the policy states no risk.

    Args:
        kind_unsure: whether the document may be no contract; then nothing is accepted.
    """
    if rules.max_wrong is None:
        return None
    stated = rules.max_wrong, rules.level
    data = local.data or specialist.guarantee
    if data is None:
        name = specialist.manifest.name
        why = f"{name} has no calibration data, so a person decides every clause."
        return StatedRisk(*stated, no_guarantee_reason=why)
    if why := _unlike_calibration(result, kind_unsure):
        return StatedRisk(*stated, no_guarantee_reason=why)
    guarantee = risk_guarantee(data, *stated, rules.always_person)
    if guarantee.belief is None:
        return StatedRisk(*stated, {}, guarantee.families, guarantee.no_guarantee_reason)
    whose = f"{specialist.manifest.version}+{local.number}"
    name = guarantee_name(whose, *stated, guarantee.belief)
    risk = StatedRisk(*stated, {}, guarantee.families, guarantee=name, belief=guarantee.belief)
    remaining = remaining_guarantee(data, rules, local.suspended)
    return replace(
        risk,
        tightened=_tightening_reasons(guarantee.belief, local, remaining),
        **_acceptance(data, risk, local, rules, default_threshold(specialist), remaining),
    )


def remaining_guarantee(
    data: bytes, rules: RiskRules, doubted: Collection[str]
) -> RiskGuarantee | None:
    """Return the guarantee without the doubted categories; None without any, or a stated risk.

    The remaining categories may be wrong more often than all of them were.
    """
    if rules.max_wrong is None or not doubted:
        return None
    never = tuple(sorted({*rules.always_person, *doubted}))
    return risk_guarantee(data, rules.max_wrong, rules.level, never)


def min_belief(remaining: RiskGuarantee | None) -> float:
    """The least belief that a `remaining_guarantee` accepts; above 1 where it accepts nothing."""
    if remaining is None:
        return 0.0
    return NEVER if remaining.belief is None else remaining.belief


def stated_missed(specialist: Specialist, rules: RiskRules) -> StatedMissed | None:
    """Return the confidence above which clauses are shown; None if the policy states no share.

    If no threshold is low enough, all candidates are shown.
    """
    if rules.max_missed is None:
        return None
    stated = rules.max_missed, rules.level
    usual = default_threshold(specialist)
    if specialist.guarantee is None:
        name = specialist.manifest.name
        why = f"{name} has no calibration data."
        return StatedMissed(*stated, usual, no_guarantee_reason=why)
    result = _threshold_for(specialist.guarantee, *stated)
    above = CONFIDENCES[0] if result.above is None else result.above
    return StatedMissed(
        *stated, min(usual, float(above)), result.families, result.no_guarantee_reason
    )


def stated_missed_for(
    stated: StatedMissed | None, result: Search, reading: ParsedDocument, kind_unsure: bool = False
) -> StatedMissed | None:
    """Return the guarantee for one document; none if it is unlike the calibration data."""
    if stated is None or stated.no_guarantee_reason:
        return stated
    why = _unlike_calibration(result, kind_unsure)
    if not why and any(page.method == METHOD for page in reading.pages):
        why = "The guarantee does not cover pages read by OCR."
    return replace(stated, no_guarantee_reason=why)


def _unlike_calibration(result: Search, kind_unsure: bool) -> str:
    """Why a document is unlike the calibration data; empty if it is not."""
    if result.warnings:
        return "The guarantee does not cover documents with warnings."
    return KIND_UNSURE if kind_unsure else ""


def _acceptance(
    data: bytes,
    risk: StatedRisk,
    local: TenantCalibration,
    rules: RiskRules,
    least: float,
    remaining: RiskGuarantee | None,
) -> dict[str, Any]:
    """The thresholds after tightening, or why there are none.

    Args:
        least: the confidence below which the set has no clauses.
    """
    if local.step >= STEPS:
        why = "Too many checks were wrong. Calibrate or loosen the guarantee."
        return {"no_guarantee_reason": why}
    belief = acceptance_belief(risk.belief or 1.0, local.step, min_belief(remaining))
    if belief is None:
        why = remaining.no_guarantee_reason if remaining else ""
        doubt = f"Checks put {_doubted_names(local)} in doubt. Calibrate or loosen the guarantee."
        return {"no_guarantee_reason": f"{doubt} Without these: {why}"}
    without = frozenset({*rules.always_person, *local.suspended})
    thresholds = _thresholds(data, belief, without)
    return {"thresholds": {name: max(least, one) for name, one in thresholds.items()}}


def _tightening_reasons(
    belief: float, local: TenantCalibration, remaining: RiskGuarantee | None
) -> tuple[str, ...]:
    """Why less is accepted after wrong audit samples, one sentence each."""
    reasons = []
    now = acceptance_belief(belief, local.step, min_belief(remaining))
    why = ""
    if now != acceptance_belief(belief, local.step):
        more = "nothing" if now is None else "no more"
        why = f", because without {_doubted_names(local)} {more} is shown to keep the risk"
    if now is None:
        reasons.append(f"nothing is accepted{why}")
    elif now > belief:
        reasons.append(f"the required belief was raised from {belief:.1%} to {now:.1%}{why}")
    if local.suspended:
        reasons.append(f"a person decides {_doubted_names(local)}")
    return tuple(f"too many checks were wrong: {reason}" for reason in reasons)


def _doubted_names(local: TenantCalibration) -> str:
    return ", ".join(sorted(local.suspended))


@lru_cache(maxsize=64)
def risk_guarantee(
    data: bytes, max_wrong: float, level: float, always_person: tuple[str, ...]
) -> RiskGuarantee:
    """Return the guarantee of a calibration set."""
    return control_risk(load_calibration(data), max_wrong, level, always_person)


@lru_cache(maxsize=64)
def _threshold_for(data: bytes, max_missed: float, level: float) -> RecallThreshold:
    return recall_threshold(load_calibration(data), max_missed, level)


@lru_cache(maxsize=64)
def _thresholds(data: bytes, belief: float, without: frozenset[str]) -> Mapping[str, float]:
    calibration = load_calibration(data)
    open_ = [name for name in calibration.labels if name not in without]
    result = {name: calibration.confidence_of(name, belief) for name in open_}
    return {name: one for name, one in result.items() if one < NEVER}


@lru_cache(maxsize=8)
def load_calibration(data: bytes) -> Calibration:
    """Parse a calibration set."""
    return read_calibration(data)


def belief_function(
    specialist: Specialist, local: TenantCalibration = SHIPPED_CALIBRATION
) -> Callable[[str, float], float]:
    """Return a function from category and confidence to the probability that a clause is right.

    For a category that the calibration set does not have, it is the confidence.
    """
    data = local.data or specialist.guarantee
    calibration = load_calibration(data) if data else None

    def belief(category: str, confidence: float) -> float:
        if calibration is None or category not in calibration.labels:
            return confidence
        return calibration.belief_of(category, confidence)

    return belief


def route_clauses(
    clauses: Sequence[ClauseSpan], reading: ParsedDocument, stated: StatedRisk | None
) -> list[Route]:
    """Return the route of each clause of a specialist; without a guarantee a person decides."""
    if stated is None:
        return ["review"] * len(clauses)
    return [
        "accept"
        if stated.accepts(clause.category, clause.confidence)
        and not is_recognised(clause.start, clause.end, reading)
        else "review"
        for clause in clauses
    ]


def is_recognised(start: int, end: int, reading: ParsedDocument) -> bool:
    """Whether a passage touches a page that was read by OCR."""
    pages = (page for page in reading.pages if page.method == METHOD)
    return any(page.start < end and start < page.end for page in pages)


def is_sampled(clause_id: str, share: float, key: bytes) -> bool:
    """Whether an accepted clause is drawn as an audit sample.

    The draw depends on the id and a secret key: a repeated run draws the same, and the id alone
    does not reveal it.
    """
    return draw(key, "sample", clause_id) < share


def check_categories(wanted: frozenset[str], installed: frozenset[str]) -> None:
    """Raise SettingsError if `always_person` of the policy names an unknown category.

    A misspelt category would be accepted by the machine.
    """
    if unknown := sorted(wanted - installed):
        raise SettingsError(
            f"the policy: always_person names {', '.join(map(repr, unknown))}, which no installed "
            "specialist has: spell categories as in the results"
        )
