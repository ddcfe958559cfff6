"""The confidence above which clauses are shown, for a stated share of missed true clauses.

It is learned from the calibration set of an adapter (`shared/policy/risk_control.py`), which has
the confidence of the best matching candidate of each true clause in unseen contracts.
`python -m models.clauses.risk_control` makes the set and tests the guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.policy.intervals import count_certified, gains, missed_bound
from shared.policy.risk_control import Calibration, percent

CONFIDENCES = np.array([0.002, 0.005, *(i / 100 for i in range(1, 100))])
"""Tested thresholds, the lowest first, which misses least."""

MOST_ANSWERS = 60.0
"""The most true clauses of one company that count; nine in ten companies have fewer. A lower limit
would measure the share for small companies. A higher one would let one company refute any
guarantee. `models.clauses.recall_target` chose it among 30, 60, 100 and 200. It is the same for
every set, because a larger company than any in the set may follow.
"""


@dataclass(frozen=True)
class RecallThreshold:
    """The threshold for a stated share of missed clauses, or why no threshold is low enough."""

    max_missed: float
    level: float
    above: float | None  # show clauses above this confidence; None if nothing can be guaranteed
    families: int  # that it was learned from
    answers: int = 0  # their true clauses
    missed: int = 0  # true clauses that no shown clause matches
    no_guarantee_reason: str = ""


def recall_threshold(known: Calibration, max_missed: float, level: float) -> RecallThreshold:
    """Return the highest threshold that misses at most a share of the true clauses.

    The test is that of `guarantee`, with true instead of accepted and missed instead of wrong
    clauses. The lowest threshold is the strictest rule. A group counts with at most `MOST_ANSWERS`
    true clauses.

    Args:
        max_missed: R, the share of true clauses that no shown clause matches.
    """
    missed, answers = known.missed(CONFIDENCES)
    gained = gains(np.broadcast_to(answers, missed.shape), missed, max_missed, MOST_ANSWERS)
    passing = count_certified(gained, max_missed, level, MOST_ANSWERS)
    there, gone = int(answers.sum()), missed.sum(-1).astype(int)
    if passing:
        last = passing - 1
        above = float(CONFIDENCES[last])
        return RecallThreshold(max_missed, level, above, known.families, there, int(gone[last]))
    if not there:
        why = "The calibration data do not cover missed clauses."
    else:
        share, groups = gone[0] / there, f"{known.families} {known.groups}"
        why = (
            f"{groups} are too few to guarantee {percent(max_missed)}. State a larger share."
            if share <= max_missed
            else f"{share:.1%} of the true clauses of {groups} are missed even if all candidates "
            "are shown. State a larger share."
        )
    return RecallThreshold(max_missed, level, None, known.families, there, no_guarantee_reason=why)


def least_shown(known: Calibration, max_missed: float, thresholds: Sequence[float]) -> float | None:
    """Return the highest threshold that misses at most a share in expectation, for a new company.

    None if no threshold is low enough.
    """
    falling = np.sort(np.asarray(thresholds, float))[::-1]
    bound = missed_bound(*known.missed(falling))
    low_enough = np.flatnonzero(bound <= max_missed)
    return float(falling[low_enough[0]]) if len(low_enough) else None
