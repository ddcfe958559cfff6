"""From which confidence on a finding can be told without a person, for a stated risk.

The risk is the share of wrong findings among those that no person looks at. What is known of it are
the surest findings of filings of companies that were not learned from (`guarantee.npz` beside the
forest; no names, no figures): sound ones, and copies with an error that was put in. How many real
filings have an error is not known from them, and everything hangs on it: where few do, most
findings are false alarms. So whoever wants a promise states that share, and each filing counts as
often as it says. The test is that of `shared/risk.py`, with companies as groups. "Not attainable"
is an answer. Where people's decisions have made a set here (`watch/calibrating.py`), that one
answers, and no share has to be stated.
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

from services.triage.domain import ReportFinding, Verdict
from services.triage.reading.concepts import usual_table
from services.triage.statements import Filing
from shared import guarantee as shared_guarantee
from shared.documents import Reading
from shared.documents.ocr import METHOD
from shared.events import Route
from shared.guarantee import FLATTEST, NEVER
from shared.policy import FindingRules
from shared.risk import Floats, gains, groups_needed, kept_until
from shared.watch.evidence import ladder
from shared.watch.local import SHIPPED, Local, promise_name

BY_RULE = ("implied_shares", "earlier_filing", "earlier_filing_scale")
"""Checks whose confidence is one number by hand, and which the calibration set knows nothing of."""
THRESHOLDS = np.linspace(0.99, 0.5, 50)
"""Of confidence, the strictest first; chosen without a look at what they accept."""
MANY = 10
"""Times as many companies as there are: who would need more, and has seen wrong ones among the
surest findings, needs a better specialist."""
UNKNOWN = (
    "not guaranteed: how many filings have an error is not known from errors that were put in; "
    "state the share with --broken"
)
LEFT_OUT = "not guaranteed: there is no calibration data for filings of which lines are left out"
SCANNED = "not guaranteed: there is no calibration data for pages that were recognised (OCR)"
FOREIGN = "not guaranteed: there is no calibration data for lines in another language than English"
ENGLISH = 0.5
"""Share of the words of a filing's lines that common concepts have in their names. English filings
have clearly more, other languages hardly any."""
WARNED = "not guaranteed: there is no calibration data for a filing that was not read as a whole"
FOLDED = "not guaranteed: of filings of which findings were dismissed before nothing is known"
STOPPED = (
    "not accepted any more: too many checks were wrong; a person calibrates or loosens it "
    "(smallprint calibrate)"
)
FINDING, FILING, COMPANIES = "finding", "filing", "companies"
"""The one category of findings, what they are about, and what hangs together."""
SURE = 1e-5
"""So far from 0 and 1 a confidence is taken to be at the least."""

MOST_ODDS = 700.0
"""Logarithms of odds are taken to be at most: `math.exp` has no more."""

_WORD, _IN_NAME = re.compile(r"[^\W\d_]{4,}"), re.compile(r"[A-Z][a-z]+")


@dataclass(frozen=True)
class Calibration:
    """The surest finding of each filing of companies that were not learned from.

    Args:
        company: a number for each [N].
        broken: whether an error was put in [N].
        right: whether the finding names it [N].
        risk: how sure it was [N].
    """

    company: NDArray[np.int64]
    broken: NDArray[np.bool_]
    right: NDArray[np.bool_]
    risk: Floats

    @property
    def companies(self) -> int:
        """How many there are."""
        return len(np.unique(self.company))

    def counts(self, share: float) -> tuple[Floats, Floats]:
        """Findings accepted, and wrong ones among them, by threshold and company, where a share of
        the filings is broken; two arrays [thresholds, companies].
        """
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
        """The set as it lies beside the forest."""
        out = io.BytesIO()
        _, group = np.unique(self.company, return_inverse=True)
        np.savez_compressed(
            out,
            company=group.astype(np.uint16),
            broken=self.broken,
            right=self.right,
            risk=self.risk.astype(np.float32),
        )
        return out.getvalue()


def read_calibration(data: bytes) -> Calibration:
    """Read a set."""
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        return Calibration(
            kept["company"].astype(np.int64),
            kept["broken"].astype(bool),
            kept["right"].astype(bool),
            kept["risk"].astype(float),
        )


@dataclass(frozen=True)
class Line:
    """How a confidence becomes a belief: log-odds of it = start + slope * those of the confidence.

    Without decisions of the tenant's own the slope is 1, and the start says how much rarer (or more
    frequent) broken filings are, as they are stated, than among those that were learned from.
    """

    start: float = 0.0
    slope: float = 1.0

    @classmethod
    def shipped(cls, known: Calibration | None, broken: float | None) -> Line:
        """The line where a share of the filings is broken; that of the confidence itself where no
        share is stated, or nothing is known of those that were learned from.
        """
        if known is None or broken is None:
            return cls()
        part = float(known.broken.mean())
        return cls(_odds(broken) - _odds(part))

    @classmethod
    def local(cls, known: shared_guarantee.Calibration) -> Line:
        """The line of a set that was made here."""
        start, slope = known.lines[known.labels.index(FINDING)]
        return cls(float(start), float(slope))

    def belief_of(self, confidence: float) -> float:
        """How likely a finding of a confidence is right."""
        return _share(self.start + self.slope * _odds(min(max(confidence, SURE), 1.0 - SURE)))

    def confidence_of(self, belief: float) -> float:
        """From which confidence on a finding is accepted that has to be believed so much;
        `NEVER` if none is sure enough, or if surer ones are not righter here.
        """
        if not self.rises or belief >= 1:
            return NEVER
        sure = _share((_odds(belief) - self.start) / self.slope)
        return sure if sure <= 1.0 - SURE else NEVER

    @property
    def rises(self) -> bool:
        """Whether surer findings are righter."""
        return self.slope >= FLATTEST


def _odds(share: float) -> float:
    """The logarithm of the odds of a share."""
    return math.log(share) - math.log1p(-share)


def _share(odds: float) -> float:
    """The share of which these are the logarithm of the odds."""
    return 1.0 / (1.0 + math.exp(-min(max(odds, -MOST_ODDS), MOST_ODDS)))


@dataclass(frozen=True)
class Promise:
    """What is told without a person for a stated risk, or why nothing is."""

    max_wrong: float
    level: float
    broken: float | None  # share of filings with an error, as it was stated
    threshold: float | None = None  # of confidence, from which a finding is told
    companies: int = 0  # not learned from, from which that is known
    why_not: str = ""
    belief: float | None = None  # in the threshold that was promised, were nothing tightened
    line: Line = Line()

    def to_json(self) -> dict[str, Any]:
        """As the command line has it."""
        names = ("max_wrong", "level", "broken", "threshold", "companies", "why_not")
        return {name: getattr(self, name) for name in names}

    def named(self, version: str, local: Local) -> str:
        """What tells it from all others: whose it is, and what was promised."""
        shipped = "" if local.data else f"/{self.broken:g}"
        whose = f"{version}+{local.number}{shipped}"
        return promise_name(whose, self.max_wrong, self.level, self.belief or 1.0)

    def at_step(self, step: int) -> Promise:
        """The same after it was tightened: each step accepts what is half as likely to be wrong."""
        if self.belief is None or not step:
            return self
        beliefs = ladder(self.belief)
        if step >= len(beliefs):
            return replace(self, threshold=None, why_not=STOPPED)
        return replace(self, threshold=self.line.confidence_of(beliefs[step]))


def promise(
    known: Calibration | None, max_wrong: float, level: float, broken: float | None
) -> Promise:
    """Return the lowest threshold that is shown to keep a risk.

    Args:
        known: the calibration set; None where there is none.
        max_wrong: the share of wrong findings among those that no person looks at.
        level: of confidence.
        broken: share of the filings that have an error; None if nobody said it.
    """
    if known is None:
        return Promise(max_wrong, level, broken, why_not="not guaranteed: no calibration data")
    if broken is None:
        return Promise(max_wrong, level, None, None, known.companies, UNKNOWN)
    accepted, wrong = known.counts(broken)
    gained = gains(accepted, wrong, max_wrong)
    kept = kept_until(gained, max_wrong, level)
    if kept:
        at = round(float(THRESHOLDS[kept - 1]), 4)
        line = Line.shipped(known, broken)
        sure = line.belief_of(at)
        return Promise(max_wrong, level, broken, at, known.companies, belief=sure, line=line)
    why = f"not attainable with this data: where {broken:.1%} of the filings have an error, "
    why += _why_not(known, (accepted[0], wrong[0], gained[0]), max_wrong, level)
    return Promise(max_wrong, level, broken, None, known.companies, why)


def _why_not(
    known: Calibration, strictest: tuple[Floats, Floats, Floats], max_wrong: float, level: float
) -> str:
    """Why the strictest threshold is not shown to keep a risk, and what would help.

    Args:
        known: the set.
        strictest: of that threshold, by company: accepted findings, wrong ones, and `gains`
            [companies].
        max_wrong: the risk.
        level: of confidence.
    """
    accepted, wrong, gained = strictest
    if not accepted.any():
        return f"no finding of {known.companies} companies was surer than {THRESHOLDS[0]:.0%}"
    seen = f"{wrong.sum() / accepted.sum():.1%} of the surest findings are wrong"
    needed = groups_needed(gained[None], max_wrong, level)
    if needed is None or (wrong.any() and needed > MANY * known.companies):
        return f"{seen}; more companies would hardly show it: state a larger risk"
    return (
        f"{seen}, but {known.companies} companies are too few to show at {level:.0%} that at most "
        f"{max_wrong:.1%} are; about {needed - known.companies:,} further companies would do"
    )


@lru_cache(maxsize=64)
def promised(
    data: bytes | None, rules: FindingRules, level: float, local: Local = SHIPPED
) -> Promise | None:
    """Return what a calibration set promises to a tenant; None where no risk is stated. The last
    few answers are kept.

    Args:
        data: the set that came with the judge; None where there is none.
        rules: of the tenant.
        level: of confidence.
        local: what holds in the tenant alone.
    """
    if rules.max_wrong is None:
        return None
    if local.data is None:
        known = calibration(data) if data else None
        made = promise(known, rules.max_wrong, level, rules.broken)
    else:
        made = _of_decisions(local.data, rules, level)
    return made.at_step(local.step)


def _of_decisions(data: bytes, rules: FindingRules, level: float) -> Promise:
    """What a set that was made of decisions promises."""
    assert rules.max_wrong is not None, "a risk is stated"
    known = shared_guarantee.read_calibration(data)
    made, line = shared_guarantee.promise(known, rules.max_wrong, level), Line.local(known)
    return Promise(
        rules.max_wrong,
        level,
        rules.broken,
        None if made.belief is None else line.confidence_of(made.belief),
        known.families,
        made.why_not,
        made.belief,
        line,
    )


@lru_cache(maxsize=8)
def line_of(data: bytes | None, local: bytes | None, broken: float | None) -> Line:
    """Return how confidences become beliefs by the set that was made here, or else by the one that
    came with the judge, where a share of the filings is broken; the last few are kept.
    """
    if local is not None:
        return Line.local(shared_guarantee.read_calibration(local))
    return Line.shipped(calibration(data) if data else None, broken)


def seen_right(confidence: float, data: bytes, broken: float) -> float:
    """Return how often the surest finding of a filing was right that was as sure as this one, among
    filings that nobody learned from, of which a share is broken. `Line` says it of any finding,
    from the odds alone, and of the surest too little: at 50% broken 12.0% of those from 0.83 on
    would be wrong, and 8.0% were.
    """
    sure, share = _rising(data, broken)
    place = int(np.searchsorted(sure, np.float32(confidence), side="right")) - 1  # as it is kept
    return float(share[max(place, 0)])


@lru_cache(maxsize=8)
def _rising(data: bytes, broken: float) -> tuple[Floats, Floats]:
    """Confidences [N], the lowest first, and the share that is right from each on to the next [N],
    which never falls (isotonic regression by pooling adjacent violators; Ayer et al., 1955). One
    more wrong one that nobody saw counts as the surest, so that none is taken for certain.
    """
    known = calibration(data)
    order = np.argsort(known.risk, kind="stable")
    part = known.broken.mean()
    weight = np.where(known.broken, broken / part, (1.0 - broken) / (1.0 - part))[order]
    right = (known.broken & known.right)[order]
    weights, rights = [*weight.tolist(), 1.0], [*right.tolist(), False]
    pools: list[tuple[float, float, int]] = []
    for weighs, is_right in zip(weights, rights, strict=True):
        good, whole, count = weighs * is_right, weighs, 1
        while pools and pools[-1][0] * whole >= good * pools[-1][1]:
            before = pools.pop()
            good, whole, count = good + before[0], whole + before[1], count + before[2]
        pools.append((good, whole, count))
    shares = [good / whole for good, whole, _ in pools]
    return known.risk[order], np.repeat(shares, [count for *_, count in pools])[:-1]


@lru_cache(maxsize=8)
def calibration(data: bytes) -> Calibration:
    """Return a calibration set; the last few are kept."""
    return read_calibration(data)


def promised_for(
    verdict: Verdict, filing: Filing, made: Promise, reading: Reading | None
) -> Promise:
    """Return what is promised for a filing: nothing for one of a sort that nothing is known of.

    Args:
        verdict: on the filing.
        filing: as it was checked.
        made: what is promised for filings like those known.
        reading: of the document that it stands in; None for data.
    """
    return made if made.why_not else unless(made, unlike(verdict, filing, reading))


def unless(made: Promise, why_not: str) -> Promise:
    """What is promised where nothing speaks against it; nothing, where there is a reason."""
    if not why_not:
        return made
    return Promise(made.max_wrong, made.level, made.broken, why_not=why_not)


def surest(found: Sequence[ReportFinding]) -> ReportFinding | None:
    """The finding of a filing that may be accepted, if it is sure enough: the surest of all, unless
    it is by a rule of its own, of which nothing is known.
    """
    first = found[0] if found else None
    return None if first is None or first.finding.check in BY_RULE else first


def routes_of(verdict: Verdict, made: Promise | None) -> list[Route]:
    """Return what is done with each finding, `accept` or `review`: only the surest finding of a
    filing may be accepted, for of others nothing is known, nor of one by a rule of its own.

    Args:
        verdict: on the filing.
        made: what is promised for it; None: a person looks at everything.
    """
    least = NEVER if made is None or made.threshold is None else made.threshold
    return [
        "accept"
        if place == 0 and finding.confidence >= least and finding.check not in BY_RULE
        else "review"
        for place, finding in enumerate(verdict.findings)
    ]


def routed(
    verdict: Verdict, filing: Filing, made: Promise, reading: Reading | None
) -> dict[str, Any]:
    """A verdict with a route for each finding, and what was promised: see `promised_for`."""
    made = promised_for(verdict, filing, made, reading)
    shown = verdict.to_json()
    for finding, route in zip(shown["findings"], routes_of(verdict, made), strict=True):
        finding["route"] = route
    return {**shown, "risks": made.to_json()}


def unlike(verdict: Verdict, filing: Filing, reading: Reading | None) -> str:
    """Why a filing is of a sort without calibration data of its own; empty if it is not."""
    return why_unlike(verdict, filing, is_recognised(reading))


def is_recognised(reading: Reading | None) -> bool:
    """Whether a page of a document was recognised (OCR); data has no pages."""
    return reading is not None and any(page.method == METHOD for page in reading.pages)


def why_unlike(verdict: Verdict, filing: Filing, recognised: bool) -> str:
    """The same where it is known whether pages were recognised: see `unlike`."""
    if not filing.whole:
        return LEFT_OUT
    if recognised:
        return SCANNED
    if english_share(filing) < ENGLISH:
        return FOREIGN
    if any(finding.dismissed for finding in verdict.findings):
        return FOLDED
    return WARNED if filing.warnings or verdict.warnings else ""


def english_share(filing: Filing) -> float:
    """Return the share of the words of a filing's lines that names of common concepts have; 0
    without any words.
    """
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
