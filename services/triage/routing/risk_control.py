"""Find the confidence from which findings need no person, for a stated risk.

The risk is the share of wrong findings among the accepted ones. The calibration set
(`guarantee.npz`) has the surest finding of each filing of companies not used in training: sound
filings, and copies with an injected error. The share of real filings with an error is unknown, and
decides how many findings are false alarms. So the tenant must state it, and filings are weighted
accordingly. The test is that of `shared/policy/intervals.py`, with companies as groups. "Not
attainable" is a valid answer. A calibration from people's decisions (`monitoring/recalibration.py`)
replaces the set and needs no stated share.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.triage.checks import fixed_confidence
from services.triage.domain import ReportFinding, Verdict
from services.triage.reading.concept_order import usual_table
from services.triage.statements.model import Filing
from shared.documents import ParsedDocument
from shared.documents.pages.tesseract import METHOD
from shared.events import Route
from shared.monitoring.sequential_test import ladder
from shared.monitoring.tenant_calibration import (
    SHIPPED_CALIBRATION,
    TenantCalibration,
    guarantee_name,
)
from shared.policy import risk_control as shared_guarantee
from shared.policy.intervals import Floats, count_certified, gains, groups_needed
from shared.policy.risk_control import FLATTEST, NEVER, percent
from shared.policy.rules import FindingRules

BY_RULE = (*fixed_confidence.CHECKS, "earlier_filing", "earlier_filing_scale")
"""Checks with a fixed confidence."""
THRESHOLDS = np.linspace(0.99, 0.5, 50)  # confidences, the strictest first
MANY = 10
"""Multiples of the companies at hand. If more would be needed and the surest findings have
errors, more data hardly helps."""
UNKNOWN = "The share of reports with an error is unknown. State it with --broken."
LEFT_OUT = "The guarantee does not cover reports with omitted lines."
SCANNED = "The guarantee does not cover pages read by OCR."
FOREIGN = "The guarantee does not cover reports in languages other than English."
ENGLISH = 0.5  # share of a filing's words that occur in names of common concepts
WARNED = "The guarantee does not cover reports with warnings."
FOLDED = "The guarantee does not cover reports with dismissed findings."
STOPPED = (
    "Too many checks were wrong. A person can recalibrate or loosen the guarantee "
    "(`smallprint calibrate`)."
)
FINDING, FILING, COMPANIES = "finding", "filing", "companies"  # category, unit, groups
SURE = 1e-5  # confidences are clipped this far from 0 and 1

MOST_ODDS = 700.0  # largest log odds that `math.exp` can take

_WORD, _IN_NAME = re.compile(r"[^\W\d_]{4,}"), re.compile(r"[A-Z][a-z]+")


@dataclass(frozen=True)
class Calibration:
    """The surest finding of each of N filings of companies not used in training."""

    company: NDArray[np.int64]  # a number per filing [N]
    broken: NDArray[np.bool_]  # whether the filing has an injected error [N]
    right: NDArray[np.bool_]  # whether the finding names it [N]
    risk: Floats  # confidence of the finding [N]

    @property
    def companies(self) -> int:
        return len(np.unique(self.company))

    def counts(self, share: float) -> tuple[Floats, Floats]:
        """Accepted and wrong findings by threshold and company, two arrays [thresholds,
        companies], if a share of the filings is broken."""
        _, group = np.unique(self.company, return_inverse=True)
        part = self.broken.mean()
        weight = np.where(self.broken, share / part, (1.0 - share) / (1.0 - part))
        above = self.risk >= THRESHOLDS[:, None]
        wrong = ~(self.broken & self.right)
        counted = [
            np.array([np.bincount(group, weight * row, self.companies) for row in rows], float)
            for rows in (above, above & wrong)
        ]
        return counted[0], counted[1]

    def to_bytes(self) -> bytes:
        """The set in the format of the artefact."""
        out = io.BytesIO()
        _, group = np.unique(self.company, return_inverse=True)
        company, risk = group.astype(np.uint16), self.risk.astype(np.float32)
        np.savez_compressed(out, company=company, broken=self.broken, right=self.right, risk=risk)
        return out.getvalue()


@lru_cache(maxsize=8)
def read_calibration(data: bytes) -> Calibration:
    """Read a calibration set; recent ones are cached."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Calibration(
            arrays["company"].astype(np.int64),
            arrays["broken"].astype(bool),
            arrays["right"].astype(bool),
            arrays["risk"].astype(float),
        )


@dataclass(frozen=True)
class BeliefLine:
    """Maps confidence to belief: log odds of belief = start + slope * log odds of confidence.

    Without decisions of the tenant the slope is 1, and the start corrects for the stated share of
    broken filings.
    """

    start: float = 0.0
    slope: float = 1.0

    @classmethod
    def shipped(cls, data: Calibration | None, broken: float | None) -> BeliefLine:
        """The line for a stated share of broken filings; without it or data, the identity."""
        if data is None or broken is None:
            return cls()
        part = float(data.broken.mean())
        return cls(_odds(broken) - _odds(part))

    @classmethod
    def local(cls, data: shared_guarantee.Calibration) -> BeliefLine:
        """The line of a calibration from decisions."""
        start, slope = data.lines[data.labels.index(FINDING)]
        return cls(float(start), float(slope))

    def belief_of(self, confidence: float) -> float:
        """Probability that a finding with this confidence is right."""
        return _share(self.start + self.slope * _odds(min(max(confidence, SURE), 1.0 - SURE)))

    def confidence_of(self, belief: float) -> float:
        """Confidence that reaches a belief; `NEVER` if none does or the line does not rise."""
        if not self.rises or belief >= 1:
            return NEVER
        sure = _share((_odds(belief) - self.start) / self.slope)
        return sure if sure <= 1.0 - SURE else NEVER

    @property
    def rises(self) -> bool:
        """Whether surer findings are more often right."""
        return self.slope >= FLATTEST


def _odds(share: float) -> float:
    """Log odds of a share."""
    return math.log(share) - math.log1p(-share)


def _share(odds: float) -> float:
    """The share with these log odds."""
    return 1.0 / (1.0 + math.exp(-min(max(odds, -MOST_ODDS), MOST_ODDS)))


@dataclass(frozen=True)
class RiskGuarantee:
    """The threshold that keeps a stated risk, or why there is none."""

    max_wrong: float
    level: float
    broken: float | None  # stated share of filings with an error
    threshold: float | None = None  # confidence from which a finding is accepted
    companies: int = 0  # in the calibration set
    no_guarantee_reason: str = ""
    belief: float | None = None  # at the threshold before any tightening
    line: BeliefLine = BeliefLine()

    def to_json(self) -> dict[str, Any]:
        """The guarantee as the command line prints it."""
        names = ("max_wrong", "level", "broken", "threshold", "companies", "no_guarantee_reason")
        return {name: getattr(self, name) for name in names}

    def name_for(self, version: str, local: TenantCalibration) -> str:
        """The unique name of this guarantee: its calibration and its terms."""
        shipped = "" if local.data else f"/{self.broken:g}"
        whose = f"{version}+{local.number}{shipped}"
        return guarantee_name(whose, self.max_wrong, self.level, self.belief or 1.0)

    def tightened(self, step: int) -> RiskGuarantee:
        """The guarantee after tightening: each step halves the accepted error probability."""
        if self.belief is None or not step:
            return self
        beliefs = ladder(self.belief)
        if step >= len(beliefs):
            return replace(self, threshold=None, no_guarantee_reason=STOPPED)
        return replace(self, threshold=self.line.confidence_of(beliefs[step]))


def make_guarantee(
    data: Calibration | None, max_wrong: float, level: float, broken: float | None
) -> RiskGuarantee:
    """The guarantee with the lowest safe threshold. `broken`: share of filings with errors."""
    if data is None:
        why = "There is no calibration data."
        return RiskGuarantee(max_wrong, level, broken, no_guarantee_reason=why)
    if broken is None:
        return RiskGuarantee(max_wrong, level, None, None, data.companies, UNKNOWN)
    accepted, wrong = data.counts(broken)
    gained = gains(accepted, wrong, max_wrong)
    if certified := count_certified(gained, max_wrong, level):
        at = round(float(THRESHOLDS[certified - 1]), 4)
        line = BeliefLine.shipped(data, broken)
        sure = line.belief_of(at)
        return RiskGuarantee(max_wrong, level, broken, at, data.companies, belief=sure, line=line)
    why = _why_not(data, broken, (accepted[0], wrong[0], gained[0]), max_wrong, level)
    return RiskGuarantee(max_wrong, level, broken, None, data.companies, why)


def _why_not(
    data: Calibration,
    broken: float,
    strictest: tuple[Floats, Floats, Floats],
    max_wrong: float,
    level: float,
) -> str:
    """Why the strictest threshold is not enough, and what would help. `strictest` has the accepted
    findings, wrong ones and `gains` there, by company [companies]."""
    accepted, wrong, gained = strictest
    if not accepted.any():
        return f"No finding of {data.companies} companies was surer than {THRESHOLDS[0]:.0%}."
    share = percent(broken)
    needed = groups_needed(gained[None], max_wrong, level)
    if needed is None or (wrong.any() and needed > MANY * data.companies):
        return (
            f"Too many of the surest findings of {data.companies} companies were wrong to "
            f"guarantee {percent(max_wrong)} if {share} of the reports have an error. State a "
            "larger risk."
        )
    return (
        f"{data.companies} companies are too few to guarantee {percent(max_wrong)} if {share} of "
        f"the reports have an error; about {needed - data.companies:,} more are needed."
    )


@lru_cache(maxsize=64)
def tenant_guarantee(
    data: bytes | None,
    rules: FindingRules,
    level: float,
    local: TenantCalibration = SHIPPED_CALIBRATION,
) -> RiskGuarantee | None:
    """The guarantee for a tenant, or None without a stated risk. `data` is the classifier's
    calibration set. Recent answers are cached."""
    if rules.max_wrong is None:
        return None
    if local.data is None:
        shipped = read_calibration(data) if data else None
        guarantee = make_guarantee(shipped, rules.max_wrong, level, rules.broken)
    else:
        guarantee = _of_decisions(local.data, rules, level)
    return guarantee.tightened(local.step)


def _of_decisions(data: bytes, rules: FindingRules, level: float) -> RiskGuarantee:
    """The guarantee of a calibration from decisions."""
    assert rules.max_wrong is not None, "a risk is stated"
    decisions = shared_guarantee.read_calibration(data)
    guarantee = shared_guarantee.control_risk(decisions, rules.max_wrong, level)
    line = BeliefLine.local(decisions)
    return RiskGuarantee(
        rules.max_wrong,
        level,
        rules.broken,
        None if guarantee.belief is None else line.confidence_of(guarantee.belief),
        decisions.families,
        guarantee.no_guarantee_reason,
        guarantee.belief,
        line,
    )


@lru_cache(maxsize=8)
def line_of(data: bytes | None, local: bytes | None, broken: float | None) -> BeliefLine:
    """The map from confidence to belief, by decisions or the shipped calibration; cached."""
    if local is not None:
        return BeliefLine.local(shared_guarantee.read_calibration(local))
    return BeliefLine.shipped(read_calibration(data) if data else None, broken)


def observed_accuracy(confidence: float, data: bytes, broken: float) -> float:
    """How often a finding this sure was right, if a share of the filings is broken.

    `BeliefLine` underestimates this for the surest findings: at 50% broken, 12.1% of those from
    0.83 would be wrong, and 7.8% were.
    """
    sure, share = _rising(data, broken)
    stored = np.float32(confidence)  # as in the calibration set
    index = int(np.searchsorted(sure, stored, side="right")) - 1
    return float(share[max(index, 0)])


@lru_cache(maxsize=8)
def _rising(data: bytes, broken: float) -> tuple[Floats, Floats]:
    """Confidences [N], ascending, and the share that is right from each to the next [N].

    The share never falls (isotonic regression by pooling adjacent violators; Ayer et al., 1955).
    One extra wrong finding counts as the surest, so that no share is 1.
    """
    samples = read_calibration(data)
    order = np.argsort(samples.risk, kind="stable")
    part = samples.broken.mean()
    weight = np.where(samples.broken, broken / part, (1.0 - broken) / (1.0 - part))[order]
    right = (samples.broken & samples.right)[order]
    weights, rights = [*weight.tolist(), 1.0], [*right.tolist(), False]
    pools: list[tuple[float, float, int]] = []
    for weighs, is_right in zip(weights, rights, strict=True):
        good, total, count = weighs * is_right, weighs, 1
        while pools and pools[-1][0] * total >= good * pools[-1][1]:
            before = pools.pop()
            good, total, count = good + before[0], total + before[1], count + before[2]
        pools.append((good, total, count))
    shares = [good / total for good, total, _ in pools]
    return samples.risk[order], np.repeat(shares, [count for *_, count in pools])[:-1]


def filing_guarantee(
    verdict: Verdict, filing: Filing, guarantee: RiskGuarantee, recognised: bool
) -> RiskGuarantee:
    """The guarantee for one filing: none for filings unlike the calibration data."""
    return revoked_if(
        guarantee, guarantee.no_guarantee_reason or exclusion_reason(verdict, filing, recognised)
    )


def revoked_if(guarantee: RiskGuarantee, no_guarantee_reason: str) -> RiskGuarantee:
    """The guarantee, or none if there is a reason against it."""
    if no_guarantee_reason in ("", guarantee.no_guarantee_reason):
        return guarantee
    return RiskGuarantee(
        guarantee.max_wrong,
        guarantee.level,
        guarantee.broken,
        no_guarantee_reason=no_guarantee_reason,
    )


def surest_finding(findings: Sequence[ReportFinding]) -> ReportFinding | None:
    """The finding that may be accepted: the first, unless a rule fixes its confidence."""
    first = findings[0] if findings else None
    return None if first is None or first.finding.check in BY_RULE else first


def route_findings(verdict: Verdict, guarantee: RiskGuarantee | None) -> list[Route]:
    """Route each finding to `accept` or `review`; only the surest may be accepted. Without a
    guarantee a person looks at everything."""
    least = NEVER if guarantee is None or guarantee.threshold is None else guarantee.threshold
    return [
        "accept"
        if index == 0 and finding.confidence >= least and finding.check not in BY_RULE
        else "review"
        for index, finding in enumerate(verdict.findings)
    ]


def route_verdict(
    verdict: Verdict, filing: Filing, guarantee: RiskGuarantee, reading: ParsedDocument | None
) -> dict[str, Any]:
    """A verdict with a route for each finding, and the guarantee."""
    guarantee = filing_guarantee(verdict, filing, guarantee, is_recognised(reading))
    shown = verdict.to_json()
    for finding, route in zip(shown["findings"], route_findings(verdict, guarantee), strict=True):
        finding["route"] = route
    return {**shown, "risks": guarantee.to_json()}


def is_recognised(reading: ParsedDocument | None) -> bool:
    """Whether a page of the document was recognised by OCR."""
    return reading is not None and any(page.method == METHOD for page in reading.pages)


def exclusion_reason(verdict: Verdict, filing: Filing, recognised: bool) -> str:
    """Why a filing is unlike the calibration data; empty if it is not."""
    if not filing.complete:
        return LEFT_OUT
    if recognised:
        return SCANNED
    if english_share(filing) < ENGLISH:
        return FOREIGN
    if any(finding.dismissed for finding in verdict.findings):
        return FOLDED
    return WARNED if filing.warnings or verdict.warnings else ""


def english_share(filing: Filing) -> float:
    """Share of the words of a filing's lines that occur in names of common concepts."""
    labels = (row.label for statement in filing.statements for row in statement.rows)
    words = [word.lower() for label in labels for word in _WORD.findall(label)]
    return sum(map(_is_accounting, words)) / max(1, len(words))


@lru_cache(maxsize=20_000)
def _is_accounting(word: str) -> bool:
    return bool({word, word.rstrip("s"), f"{word}s"} & _accounting_words())


@cache
def _accounting_words() -> frozenset[str]:
    names = (name for lines in usual_table().values() for name, _moment, _sign in lines)
    return frozenset(word.lower() for name in names for word in _IN_NAME.findall(name))
