"""Above which confidence clauses are shown, for a stated share of true ones that are missed.

What is known of that is the calibration set that came with an adapter (`shared/guarantee.py`): of
each true clause of contracts which it had not seen the confidence of the surest candidate that
matches it. `python -m models.guarantee` makes the set and proves that what is promised is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.guarantee import Calibration
from shared.risk import gains, kept_until, missed_at_most

CONFIDENCES = np.array([0.002, 0.005, *(i / 100 for i in range(1, 100))])
"""Above which of these clauses are shown is tested, the lowest first: it misses least."""

MOST_ANSWERS = 60.0
"""True clauses with which a company counts at most; nine in ten have fewer. With fewer than that
the share that is kept is that of small companies, with more one company could refute anything:
chosen among 30, 60, 100 and 200 by `models.missed`. It is the same for every set: bets that hung on
the largest group which was seen would be too large where a larger one is yet to come."""


@dataclass(frozen=True)
class Shown:
    """From which confidence on clauses are shown for a stated share of missed ones, or why no
    confidence is low enough.
    """

    max_missed: float
    level: float
    above: float | None  # this confidence clauses are shown; None where nothing can be promised
    families: int  # that it was learned from
    answers: int = 0  # true clauses of these
    missed: int = 0  # and how many of them no clause matches that is shown so
    why_not: str = ""


def shown_for(known: Calibration, max_missed: float, level: float) -> Shown:
    """Return the highest confidence above which clauses are to be shown so that at most a share of
    the true clauses is missed, with a confidence of `level`.

    The test is that of `promise`, with true clauses in the place of accepted ones and missed ones
    in that of wrong ones; the lowest confidence, which misses least, is the strictest rule. A group
    counts with at most `MOST_ANSWERS` true clauses.

    Args:
        known: the adapter's calibration set.
        max_missed: R, the share of true clauses that no shown clause matches.
        level: of confidence.
    """
    missed, answers = known.missed(CONFIDENCES)
    gained = gains(np.broadcast_to(answers, missed.shape), missed, max_missed, MOST_ANSWERS)
    kept = kept_until(gained, max_missed, level, MOST_ANSWERS)
    there, gone = int(answers.sum()), missed.sum(-1).astype(int)
    if kept:
        last = kept - 1
        above = float(CONFIDENCES[last])
        return Shown(max_missed, level, above, known.families, there, int(gone[last]))
    if not there:
        why = "its calibration data say nothing of clauses that were not found"
    else:
        share = gone[0] / there
        too_few = f", too few to show at {level:.0%} that at most {max_missed:.1%} are"
        why = (
            f"not attainable with this data: of {there} true clauses of {known.families} "
            f"{known.groups} that were not seen, {share:.1%} are missed when all candidates above "
            f"{CONFIDENCES[0]:g} are shown{too_few if share <= max_missed else ''}. State a larger "
            "share"
        )
    return Shown(max_missed, level, None, known.families, there, why_not=why)


def least_shown(known: Calibration, max_missed: float, thresholds: Sequence[float]) -> float | None:
    """Return the highest confidence above which clauses must be shown so that, of a new company's
    answers, no larger share is missed in expectation; None if no threshold is low enough.

    Args:
        known: the adapter's calibration set.
        max_missed: the share of answers that no shown clause matches.
        thresholds: to choose from.
    """
    falling = np.sort(np.asarray(thresholds, float))[::-1]
    bound = missed_at_most(*known.missed(falling))
    low_enough = np.flatnonzero(bound <= max_missed)
    return float(falling[low_enough[0]]) if len(low_enough) else None
