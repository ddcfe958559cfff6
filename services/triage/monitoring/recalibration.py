"""Recalibrate the guarantee for findings from decisions, for `smallprint calibrate`.

The surest finding of each filing counts, because no other can be accepted. People decided about
those below the threshold, and about a sample of the accepted ones. So decisions show how often a
finding of some confidence is right here. They include the true share of broken filings, which must
be stated for the shipped set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from services.triage.checks.classifier import NAME, BreakClassifier
from services.triage.routing.risk_control import (
    COMPANIES,
    FILING,
    FINDING,
    SURE,
    BeliefLine,
    line_of,
    tenant_guarantee,
)
from services.triage.routing.risk_control import read_calibration as read_triage_calibration
from shared.errors import InvalidRequest
from shared.monitoring.recalibration import RefitResult, RefitSubject, compare_refit, target_risk
from shared.monitoring.refit import DecidedResult, refit_calibration
from shared.monitoring.store import AuditSample
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.policy.risk_control import Calibration, RiskGuarantee, control_risk, read_calibration
from shared.policy.rules import RiskRules

NOT_SURER = (
    "Surer findings are not right more often here, so no confidence can decide which to accept."
)

CHOSEN = (
    "{:,} of the {:,} reports sent to people are undecided, and the others may be the obvious "
    "ones. Decide them too."
)
LEFT = 0.1
"""Share of the reports sent to people that may be undecided. People choose what they decide, and
may choose the easy ones. Set by hand."""
TOGETHER = 2
"""Findings per company that count in the test, those with the most weight. A company has few
filings here, while a contract has many clauses. Bets sized for ten of them need several times as
many companies."""


def decided_documents(
    samples: Iterable[AuditSample], documents: Collection[str]
) -> tuple[list[DecidedResult], int, int, int]:
    """Decisions in completely decided stored documents, and the numbers of complete, partly decided
    and undecided documents."""
    of_document: dict[str, list[AuditSample]] = {}
    for sample in samples:
        if sample.document_id in documents:
            of_document.setdefault(sample.document_id, []).append(sample)
    complete = {
        document: mine
        for document, mine in of_document.items()
        if all(sample.wrong is not None for sample in mine)
    }
    started = sum(any(sample.wrong is not None for sample in mine) for mine in of_document.values())
    decisions = [
        DecidedResult(
            sample.family or document,
            FINDING,
            min(max(sample.confidence, SURE), 1.0 - SURE),
            bool(sample.wrong),
            1.0 / sample.share,
        )
        for document, mine in complete.items()
        for sample in mine
    ]
    return decisions, len(complete), started - len(complete), len(of_document) - started


def shipped_calibration(data: bytes, broken: float) -> Calibration:
    """The shipped set in the form of a calibration from decisions, weighted by the stated share
    of broken filings."""
    calibration_set = read_triage_calibration(data)
    line = BeliefLine.shipped(calibration_set, broken)
    part = calibration_set.broken.mean()
    _, company = np.unique(calibration_set.company, return_inverse=True)
    return Calibration(
        (FINDING,),
        calibration_set.companies,
        np.array([[line.start, line.slope]]),
        company,
        np.zeros(len(company), np.int64),
        np.array([line.belief_of(float(confidence)) for confidence in calibration_set.risk]),
        (~(calibration_set.broken & calibration_set.right)).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.arange(len(company)),
        np.where(calibration_set.broken, broken / part, (1.0 - broken) / (1.0 - part)),
        COMPANIES,
        FINDING,
        FILING,
    )


def refit(
    classifier: BreakClassifier,
    local: TenantCalibration,
    rules: RiskRules,
    decisions: list[DecidedResult],
    documents: int,
    unfinished: int,
    with_shipped: bool,
    waiting: int = 0,
) -> RefitResult:
    """Fit a line and choose a threshold from decisions, next to the present ones.

    `decisions` are those of completely decided `documents`; `unfinished` and `waiting` documents
    are decided partly and not at all. `with_shipped` also counts the shipped set. Raises
    InvalidRequest without a stated risk, decisions, or a shipped set to count.
    """
    risk = target_risk(rules.findings.max_wrong, rules.level)
    if not decisions:
        raise InvalidRequest(
            f"no report read by {NAME} {classifier.version} is decided completely: decide the "
            "surest finding of each of its filings"
        )
    broken = rules.findings.broken
    came = (
        shipped_calibration(classifier.guarantee, broken)
        if classifier.guarantee and broken is not None
        else None
    )
    if with_shipped and came is None:
        raise InvalidRequest(
            f"the shipped calibration of {NAME} can be counted only if the policy states the share "
            "of broken filings"
        )
    now = read_calibration(local.data) if local.data else came
    most = TOGETHER * max(decision.weight for decision in decisions)
    new = refit_calibration((FINDING,), now, decisions, COMPANIES, (FINDING, FILING), most)
    was = None
    if local.data and now:
        was = control_risk(now, risk.max_wrong, risk.level)
    elif now and (guarantee := tenant_guarantee(classifier.guarantee, rules.findings, risk.level)):
        was = RiskGuarantee(risk.max_wrong, risk.level, guarantee.belief, guarantee.companies)
    whose = RefitSubject(NAME, classifier.version, documents, unfinished, waiting)
    fitted = compare_refit(whose, risk, local, decisions, new, now, was, came, with_shipped)
    undecided = unfinished + waiting
    if not BeliefLine.local(new).rises:
        fitted = replace(fitted, belief_after=None, no_guarantee_reason=NOT_SURER)
    elif fitted.belief_after is not None and undecided > LEFT * (documents + undecided):
        why = CHOSEN.format(undecided, documents + undecided)
        fitted = replace(fitted, belief_after=None, no_guarantee_reason=why)
    line = line_of(classifier.guarantee, local.data, broken)
    return replace(
        fitted,
        confidence_before=_least(line, fitted.belief_before),
        confidence_after=_least(BeliefLine.local(new), fitted.belief_after),
    )


def _least(line: BeliefLine, belief: float | None) -> float | None:
    """The confidence that reaches a belief; None without a belief."""
    return None if belief is None else line.confidence_of(belief)
