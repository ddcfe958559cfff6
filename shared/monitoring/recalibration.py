"""Recalibration from people's decisions: try, apply, undo and loosen.

Calibrations are stored in the database of the service, by tenant and specialist. The shipped
artefacts do not change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from shared.errors import Conflict, InvalidRequest
from shared.monitoring.monitor import discard_doubt
from shared.monitoring.refit import (
    DecidedResult,
    Outcome,
    estimate_outcome,
    expected_calibration,
    pool,
)
from shared.monitoring.sequential_test import acceptance_belief
from shared.monitoring.store import MonitoringNotice, MonitoringStore
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.intervals import Floats
from shared.policy.risk_control import NEVER, Calibration, RiskGuarantee, control_risk


@dataclass(frozen=True)
class RefitResult:
    """A refitted calibration compared with the one in force."""

    adapter: str
    version: str
    max_wrong: float
    level: float
    documents: int
    """Documents with all results decided."""
    unfinished: int
    """Documents with some results decided."""
    waiting: int | None
    """Documents with no result decided, of those with questions; None: not counted."""
    decided: int
    before: Outcome | None
    """The outcome so far; None: there was no calibration."""
    after: Outcome
    belief_before: float | None
    belief_after: float | None
    no_guarantee_reason: str
    data: bytes
    confidence_before: float | None = None
    """The threshold as a confidence, where that is the same for all results."""
    confidence_after: float | None = None
    categories: int = 0
    """Number of categories of the specialist."""
    never_before: tuple[str, ...] | None = None
    """Categories that are never accepted although the policy allows it; None: unknown."""
    never_after: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as stored and shown, without the calibration data."""
        values = asdict(self)
        del values["data"]
        for name in ("before", "after"):
            outcome = getattr(self, name)
            values[name] = outcome and {**asdict(outcome), "rate": outcome.rate}
        return values


@dataclass(frozen=True)
class TargetRisk:
    """The risk that a calibration has to keep."""

    max_wrong: float
    level: float
    always_person: tuple[str, ...] = ()
    """Categories that people always review."""


@dataclass(frozen=True)
class RefitSubject:
    """The specialist that is refitted, and its documents."""

    adapter: str
    version: str
    documents: int
    """Documents with all results decided."""
    unfinished: int
    """Documents with some results decided."""
    waiting: int | None = None
    """Documents with no result decided; None: not counted."""


def target_risk(
    max_wrong: float | None, level: float, always_person: tuple[str, ...] = ()
) -> TargetRisk:
    """Return the risk that a policy or a person states. Raises InvalidRequest without one."""
    if max_wrong is None:
        raise InvalidRequest(
            "the policy states no max_wrong for this tenant: state one there, or try one with "
            "--max-wrong"
        )
    return TargetRisk(max_wrong, level, always_person)


def compare_refit(
    subject: RefitSubject,
    risk: TargetRisk,
    local: TenantCalibration,
    decided: Sequence[DecidedResult],
    new: Calibration,
    now: Calibration | None,
    guarantee: RiskGuarantee | None,
    shipped: Calibration | None,
    with_shipped: bool,
) -> RefitResult:
    """Choose a threshold from decisions and compare it with the calibration in force.

    Args:
        subject: the specialist.
        risk: the stated risk.
        local: the state of the tenant's calibration.
        decided: the decisions behind `new`.
        new: the set made of decisions.
        now: the set in force, if any.
        guarantee: of the set in force.
        shipped: the set of the specialist's artefact, if any.
        with_shipped: pool the shipped set with the new one. Otherwise it only helps to forecast how
            many more decisions are needed.
    """
    chosen = pool(new, shipped) if with_shipped and shipped else new
    expected = None if chosen is not new else expected_calibration(new, shipped)
    made = control_risk(chosen, risk.max_wrong, risk.level, risk.always_person, expected)
    before, belief, never_before = None, None, None
    if now is not None and guarantee is not None:
        belief = _in_force(now, guarantee, risk, local)
        never = {*risk.always_person, *local.suspended, *now.flat}
        allowed = without(new, beliefs(now, new, decided), never)
        before = estimate_outcome(new, allowed, replace(guarantee, belief=belief))
        never_before = _never(now, belief, risk, local.suspended)
    after = estimate_outcome(new, without(new, new.served, set(risk.always_person)), made)
    return RefitResult(
        subject.adapter,
        subject.version,
        risk.max_wrong,
        risk.level,
        subject.documents,
        subject.unfinished,
        subject.waiting,
        len(new.label),
        before,
        after,
        belief,
        made.belief,
        made.no_guarantee_reason,
        chosen.to_bytes(),
        categories=len(chosen.labels),
        never_before=never_before,
        never_after=_never(chosen, made.belief, risk),
    )


def _never(
    known: Calibration, belief: float | None, risk: TargetRisk, suspended: Collection[str] = ()
) -> tuple[str, ...]:
    """Categories without accepted results, except those that the policy sends to people."""
    names = {*known.never_accepted(belief), *suspended} - set(risk.always_person)
    return tuple(name for name in known.labels if name in names)


def beliefs(now: Calibration, new: Calibration, decided: Sequence[DecidedResult]) -> Floats:
    """Return the beliefs of the set in force, in the order of the new set."""
    known = [r for r in decided if r.category in new.labels and 0.0 < r.confidence < 1.0]
    return np.array([now.belief_of(result.category, result.confidence) for result in known])


def without(known: Calibration, belief: Floats, names: Collection[str]) -> Floats:
    """Return the beliefs with 0 for some categories, so that they are not accepted."""
    excluded = [number for number, name in enumerate(known.labels) if name in names]
    return np.where(np.isin(known.label, excluded), 0.0, belief)


def _in_force(
    now: Calibration, guarantee: RiskGuarantee, risk: TargetRisk, local: TenantCalibration
) -> float | None:
    """The acceptance threshold in force; None: nothing is accepted."""
    if guarantee.belief is None:
        return None
    remaining = 0.0
    if local.suspended:
        never = {*risk.always_person, *local.suspended}
        alone = control_risk(now, risk.max_wrong, risk.level, never).belief
        remaining = NEVER if alone is None else alone
    return acceptance_belief(guarantee.belief, local.step, remaining)


def apply_calibration(store: MonitoringStore, refit: RefitResult, actor: str) -> int:
    """Put a calibration in force and loosen everything. Returns its number.

    Raises Conflict if it gives no guarantee.
    """
    if refit.belief_after is None:
        raise Conflict(f"there is nothing to apply: {refit.no_guarantee_reason}")
    report = refit.to_json()
    number = store.add_calibration(refit.adapter, refit.version, refit.data, report, actor)
    state = store.state(refit.adapter, lock=True)
    store.close_guarantee(refit.adapter, state.guarantee)
    store.save(replace(state, **_LOOSE, drift=None, evidence=None, documents=0))
    threshold = (
        f"a probability of {refit.belief_after:.1%}"
        if refit.confidence_after is None
        else f"a confidence of {refit.confidence_after:.1%}"
    )
    text = (
        f"Calibration {number} of {refit.adapter} {refit.version} is in force, from "
        f"{refit.decided} decisions in {refit.documents} documents. Results are accepted from "
        f"{threshold}, for at most {refit.max_wrong:.1%} wrong."
    )
    store.add_notice(MonitoringNotice(refit.adapter, "calibrated", "", text, actor))
    return number


_LOOSE: dict[str, Any] = {"step": 0, "suspended": (), "drifted": False}


def undo_calibration(store: MonitoringStore, adapter: str, actor: str) -> int:
    """Undo the last calibration and restore the state before it. Returns its number.

    Raises Conflict if there is none.
    """
    last = store.calibration(adapter)
    if last is None:
        raise Conflict(f"{adapter} has no calibration of this tenant: nothing to undo")
    before: Mapping[str, Any] = last.before
    store.undo_calibration(adapter, last.number, actor)
    state = store.state(adapter, lock=True)
    suspended = tuple(before["suspended"])
    store.save(replace(state, step=before["step"], suspended=suspended, drifted=before["drifted"]))
    text = f"Calibration {last.number} of {adapter} was undone. The one before is in force again."
    store.add_notice(MonitoringNotice(adapter, "undone", "", text, actor))
    return int(last.number)


def loosen(store: MonitoringStore, adapter: str, why: str, actor: str) -> str:
    """Restore the acceptance of the guarantee. Returns what changed, in words.

    Checks that would tighten it again at once are discarded. Other checks still count, and waiting
    ones will.

    Raises Conflict if nothing is tightened.
    """
    before = store.state(adapter)
    if not (before.step or before.suspended or before.drifted):
        raise Conflict(f"{adapter} was not tightened, so there is nothing to loosen")
    state = store.state(adapter, lock=True)
    now = discard_doubt(store, state)
    if state.drifted:
        now = replace(now, drift=None)
    store.save(replace(now, **_LOOSE))
    change = (
        f"{adapter} accepts results by its guarantee again"
        if state.step or state.suspended
        else f"the audit sample of {adapter} is as large as before the drift"
    )
    store.add_notice(MonitoringNotice(adapter, "loosened", "", f"{change}: {why}", actor))
    return change
