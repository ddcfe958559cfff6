"""What people decided about findings, for `smallprint calibrate` (`shared/watch/calibrating.py`).

Of each filing the surest finding counts, for no other may ever be accepted: where it was not sure
enough, people were asked about it; of those that were, a share was checked. So the decisions say
how often a finding of a confidence is right among the filings that come in here, and the share of
broken ones, which has to be stated for the set that came with the judge, is in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from services.triage.guarantee import (
    COMPANIES,
    FILING,
    FINDING,
    SURE,
    Line,
    calibration,
    line_of,
    promised,
)
from services.triage.risk import NAME, Judge
from shared.errors import InvalidRequest
from shared.guarantee import Calibration, Promise, promise, read_calibration
from shared.policy import RiskRules
from shared.storage.watches import Drawn
from shared.watch.calibrating import Refit, Whose, compared, stated
from shared.watch.local import Local
from shared.watch.refitting import Decided, refitted

NOT_SURER = (
    "not attainable with this data: surer findings are not right more often here, so that no "
    "confidence tells which of them to accept"
)

CHOSEN = (
    "not attainable with this data: people have not decided {:,} of the {:,} reports that they "
    "were asked about, and those that they did decide may be obvious ones. Decide the others too"
)
LEFT = 0.1
"""Of the reports that people were asked about at most this share may be undecided: which of them
are decided is for people to choose, and a report often has one filing, so that those of which all
is decided may be those that are easy. Chosen by hand."""
TOGETHER = 2
"""A company counts in the test with so many findings that people decided about at most, of those
that stand for most: it has one filing here, or few, while of contracts each has many clauses. Bets
that are sized for ten, or for forty at a risk of 20%, take several times as many companies."""


def complete(
    asked: Iterable[Drawn], documents: Collection[str]
) -> tuple[list[Decided], int, int, int]:
    """Return what was decided in documents of which all is, how many documents these are, how many
    others have something, and how many have nothing that is decided.

    Args:
        asked: the surest findings of filings that people were asked about, by a version.
        documents: those that are kept: of one that is deleted nobody knows whether all was decided.
    """
    of_document: dict[str, list[Drawn]] = {}
    for one in asked:
        if one.document_id in documents:
            of_document.setdefault(one.document_id, []).append(one)
    whole = {
        document: mine
        for document, mine in of_document.items()
        if all(one.wrong is not None for one in mine)
    }
    begun = sum(any(one.wrong is not None for one in mine) for mine in of_document.values())
    found = [
        Decided(
            one.family or document,
            FINDING,
            min(max(one.confidence, SURE), 1.0 - SURE),
            bool(one.wrong),
            1.0 / one.share,
        )
        for document, mine in whole.items()
        for one in mine
    ]
    return found, len(whole), begun - len(whole), len(of_document) - begun


def as_shared(data: bytes, broken: float) -> Calibration:
    """The set that came with the judge in the form of those that are made of decisions: each filing
    stands for as many as the stated share of broken ones says.
    """
    known = calibration(data)
    line = Line.shipped(known, broken)
    part = known.broken.mean()
    _, company = np.unique(known.company, return_inverse=True)
    return Calibration(
        (FINDING,),
        known.companies,
        np.array([[line.start, line.slope]]),
        company,
        np.zeros(len(company), np.int64),
        np.array([line.belief_of(float(one)) for one in known.risk]),
        (~(known.broken & known.right)).astype(float),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.arange(len(company)),
        np.where(known.broken, broken / part, (1.0 - broken) / (1.0 - part)),
        COMPANIES,
        FINDING,
        FILING,
    )


def refit(
    judge: Judge,
    local: Local,
    rules: RiskRules,
    found: list[Decided],
    documents: int,
    unfinished: int,
    with_shipped: bool,
    waiting: int = 0,
) -> Refit:
    """Fit a line and choose a threshold from what was decided; what is in force stands beside it.

    Args:
        judge: what judges filings.
        local: what holds for it in the tenant.
        rules: of the tenant, with a stated risk of findings.
        found: what was decided.
        documents: of which all is decided.
        unfinished: others of which something is.
        with_shipped: also count what came with the judge, as if it were of the same kind.
        waiting: others that people were asked about, of which nothing is decided.

    Raises:
        InvalidRequest: no risk is stated, nothing is decided, or nothing came to be counted too.
    """
    risk = stated(rules.findings.max_wrong, rules.level)
    if not found:
        raise InvalidRequest(
            f"no report that {NAME} {judge.version} read is decided as a whole: decide about the "
            "surest finding of each of its filings, of some"
        )
    broken = rules.findings.broken
    came = as_shared(judge.guarantee, broken) if judge.guarantee and broken is not None else None
    if with_shipped and came is None:
        raise InvalidRequest(
            f"what came with {NAME} can be counted only where the policy states which share of the "
            "filings is broken"
        )
    now = read_calibration(local.data) if local.data else came
    most = TOGETHER * max(one.weight for one in found)  # shares were stated before filings came
    new = refitted((FINDING,), now, found, COMPANIES, (FINDING, FILING), most)
    was = None
    if local.data and now:
        was = promise(now, risk.max_wrong, risk.level)
    elif now and (made := promised(judge.guarantee, rules.findings, risk.level)):
        was = Promise(risk.max_wrong, risk.level, made.belief, made.companies)
    whose = Whose(NAME, judge.version, documents, unfinished, waiting)
    fitted = compared(whose, risk, local, found, new, now, was, came, with_shipped)
    left = unfinished + waiting
    if not Line.local(new).rises:
        fitted = replace(fitted, belief_after=None, why_not=NOT_SURER)
    elif fitted.belief_after is not None and left > LEFT * (documents + left):
        why = CHOSEN.format(left, documents + left)
        fitted = replace(fitted, belief_after=None, why_not=why)
    line = line_of(judge.guarantee, local.data, broken)
    return replace(
        fitted,
        confidence_before=_least(line, fitted.belief_before),
        confidence_after=_least(Line.local(new), fitted.belief_after),
    )


def _least(line: Line, belief: float | None) -> float | None:
    """From which confidence on a finding is believed so much; None: nothing is accepted."""
    return None if belief is None else line.confidence_of(belief)
