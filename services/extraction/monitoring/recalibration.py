"""Recalibration of clauses by people's decisions, for `smallprint calibrate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.extraction.domain import ExtractedClause, Pass
from shared.errors import InvalidRequest
from shared.inference import Specialist
from shared.monitoring.recalibration import RefitResult, RefitSubject, compare_refit, target_risk
from shared.monitoring.refit import DecidedResult, refit_calibration
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.risk_control import control_risk, read_calibration
from shared.policy.rules import RiskRules


def complete(
    documents: Iterable[tuple[str, Sequence[Pass], Sequence[ExtractedClause]]],
    decided: Sequence[AuditSample],
    adapter: str,
    version: str,
    usual: float,
) -> tuple[list[DecidedResult], int]:
    """Return the decisions of completely decided documents, and the number of partly decided ones.

    Args:
        documents: id, passes and stored clauses of each.
        decided: the decisions about clauses of this version.
        usual: the default threshold of the specialist. Clauses up to it are left out, because they
            are never accepted.
    """
    known = {one.result_id: one for one in decided}
    found, unfinished = [], 0
    for document, passes, clauses in documents:
        if not any((one.adapter, one.version) == (adapter, version) for one in passes):
            continue
        mine = [c for c in clauses if c.adapter == adapter and c.confidence > usual]
        asked = [c for c in mine if c.route != "accept"]
        answered = [known[c.id] for c in asked if c.id in known]
        if len(answered) < len(asked):
            unfinished += bool(answered)
            continue
        found += [
            DecidedResult(document, one.category, one.confidence, bool(one.wrong), 1.0 / one.share)
            for one in answered
        ]
    return found, unfinished


def refit(
    expert: Specialist,
    local: TenantCalibration,
    rules: RiskRules,
    found: Sequence[DecidedResult],
    unfinished: int,
    with_shipped: bool,
) -> RefitResult:
    """Fit a calibration to the decisions, and compare it with the one in force.

    Args:
        rules: of the tenant, with a stated risk.
        with_shipped: also use the calibration set that came with the specialist.

    Raises:
        InvalidRequest: no risk is stated, nothing is decided, or no set came with the specialist.
    """
    risk = target_risk(rules.max_wrong, rules.level, rules.always_person)
    name, version = expert.manifest.name, expert.manifest.version
    if not found:
        raise InvalidRequest(
            f"no document that {name} {version} read is completely decided: decide all waiting "
            "clauses of some documents"
        )
    data = local.data or expert.guarantee
    now = read_calibration(data) if data else None
    new = refit_calibration(expert.labels, now, found)
    if with_shipped and expert.guarantee is None:
        raise InvalidRequest(f"{name} came with no calibration set to count")
    shipped = read_calibration(expert.guarantee) if expert.guarantee else None
    was = control_risk(now, risk.max_wrong, risk.level, risk.always_person) if now else None
    whose = RefitSubject(name, version, new.families, unfinished)
    return compare_refit(whose, risk, local, found, new, now, was, shipped, with_shipped)
