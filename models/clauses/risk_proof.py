"""Test whether a stated risk is kept: choose thresholds on drawn families and compute the risk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.policy.intervals import (
    binomial_below,
    gains,
    group_cap,
    leading_passes,
    log_bets,
    log_capital,
)
from shared.policy.risk_control import LOWEST, Calibration, thresholds_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Choose = Callable[[Floats], Integers]
"""Maps weights of families in each draw [families, D] to the number of thresholds taken [D]."""

RISKS = (0.01, 0.02, 0.05, 0.1, 0.2)
LEVEL = 0.95
DRAWS = 500
SEED = 7
PROMISED = "with the guarantee"


@dataclass(frozen=True)
class AcceptanceRule:
    """An acceptance rule: the clauses that a score accepts at each threshold."""

    thresholds: Floats  # falling [T]
    accepted: Floats  # [T, families]
    wrong: Floats  # [T, families]

    @classmethod
    def of(cls, calibration: Calibration, score: Floats, thresholds: Floats) -> AcceptanceRule:
        """Count the clauses that a score accepts."""
        return cls(thresholds, *replace(calibration, belief=score).counts(thresholds))

    def shares(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the share of wrong clauses and the number accepted, by threshold and draw [T, D].

        Args:
            weights: of each family in each draw [families, D].
        """
        accepted = self.accepted @ weights
        return (self.wrong @ weights) / np.maximum(accepted, 1.0), accepted

    def tested(self, weights: Floats, risk: float, most: float | None = None) -> Integers:
        """Return how many thresholds pass the test for a risk, in each draw [D]."""
        by_bet = log_bets(gains(self.accepted, self.wrong, risk, most), risk, most) @ weights
        return leading_passes(log_capital(by_bet).T, LEVEL)

    def fitted(self, weights: Floats, risk: float) -> Integers:
        """Return how many thresholds keep the risk in each draw, without a margin [D]."""
        share, accepted = self.shares(weights)
        fits = (share <= risk) & (accepted > 0)
        last = len(fits) - np.argmax(fits[::-1], 0)
        return np.where(fits.any(0), last, 0)


def proof(calibration: Calibration, confidence: Floats, score: Floats) -> list[dict[str, Any]]:
    """Draw families, choose thresholds, and compute the risk.

    *Drawn*: as many families as there are, with replacement. The risk is that of all families.
    *Halves*: half of the families choose the threshold. The risk is that of the other half.
    """
    weights, half = drawn_families(calibration.families)
    shown = np.bincount(calibration.family, minlength=calibration.families).astype(float)
    result = []
    for risk in RISKS:
        for name, (rule, choose) in ways_of(calibration, confidence, score, risk).items():
            outcomes = drawn_outcomes(rule, choose, weights, half, risk, shown)
            result.append({"risk": risk, "way": name, **outcomes})
    return result


def drawn_families(families: int) -> tuple[Floats, Floats]:
    """Return the weights of drawn families, and of drawn halves [families, DRAWS]."""
    draw = np.random.default_rng(SEED)
    weights = draw.multinomial(families, np.full(families, 1 / families), DRAWS).T.astype(float)
    half = np.zeros((families, DRAWS))
    for entry in range(DRAWS):
        half[draw.permutation(families)[: families // 2], entry] = 1.0
    return weights, half


def drawn_outcomes(
    rule: AcceptanceRule, choose: Choose, weights: Floats, half: Floats, risk: float, counts: Floats
) -> dict[str, dict[str, float | None]]:
    """Return the results of a choice on drawn families, and on the halves that did not choose."""
    return {
        "drawn": outcome(rule, choose(weights), np.ones_like(weights), risk, counts),
        "halves": outcome(rule, choose(half), 1.0 - half, risk, counts),
    }


def ways_of(
    calibration: Calibration, confidence: Floats, score: Floats, risk: float
) -> dict[str, tuple[AcceptanceRule, Choose]]:
    """Return rules for accepting by name, each with its choice of a threshold."""

    def rule(values: Floats, thresholds: Floats) -> AcceptanceRule:
        return AcceptanceRule.of(calibration, values, thresholds)

    def always(weights: Floats) -> Integers:
        return np.ones(weights.shape[1], np.int64)

    ours = rule(calibration.belief, thresholds_of(risk))
    fine = rule(calibration.belief, np.linspace(0.995, LOWEST, 140))
    stated, fixed = np.array([1.0 - risk]), np.array([0.9])
    return {
        PROMISED: (ours, partial(ours.tested, risk=risk)),
        "the same threshold rule without a margin": (fine, partial(fine.fitted, risk=risk)),
        "confidence of 1 - R and more": (rule(confidence, stated), always),
        "confidence over 0.9": (rule(confidence, fixed), always),
        "uncalibrated score of 1 - R and more": (rule(score, stated), always),
        "uncalibrated score over 0.9": (rule(score, fixed), always),
    }


def outcome(
    rule: AcceptanceRule, taken: Integers, weights: Floats, risk: float, shown: Floats
) -> dict[str, float | None]:
    """Return the result of taking `taken` thresholds in each draw of weighted families."""
    share, accepted = rule.shares(weights)
    attained = taken > 0
    at = np.maximum(taken - 1, 0), np.arange(len(taken))
    realised = share[at][attained]
    covered = accepted[at] * attained / (shown @ weights)
    return {
        "attained": float(attained.mean()),
        "risk": float(realised.mean()) if attained.any() else None,
        "exceeded": float((attained & (share[at] > risk)).mean()),
        "covered": float(covered.mean()),
    }


def bounds(calibration: Calibration) -> list[dict[str, Any]]:
    """Return the number of clauses that each of three tests accepts, at each risk."""
    result = []
    for risk in RISKS:
        rule = AcceptanceRule.of(calibration, calibration.belief, thresholds_of(risk))
        gained = gains(rule.accepted, rule.wrong, risk)
        passed = {
            "betting": log_capital(log_bets(gained, risk).sum(-1)) >= -math.log1p(-LEVEL),
            **by_other_bounds(gained, risk),
        }
        for name, ok in passed.items():
            passed_tests = int(np.argmin(np.append(ok, False)))
            accepted = int(rule.accepted[passed_tests - 1].sum()) if passed_tests else 0
            result.append({"risk": risk, "bound": name, "accepted": accepted})
    return result


def by_other_bounds(gained: Floats, risk: float) -> dict[str, NDArray[np.bool_]]:
    """Test by Hoeffding-Bentkus and by the empirical Bernstein bound [thresholds].

    Sources: Bates et al., "Distribution-free, risk-controlling prediction sets", 2021; Maurer,
    Pontil, "Empirical Bernstein bounds and sample variance penalization", 2009.
    """
    size = group_cap(risk)
    losses = risk - gained / size  # in [0, 1]; the test is for an expectation of at most R
    families = losses.shape[-1]
    mean = np.minimum(losses.mean(-1), risk)
    apart = _relative_entropy(mean, risk)
    tail = [binomial_below(math.ceil(families * m) + 1, families, risk) for m in mean]
    p = np.minimum(np.exp(-families * apart), math.e * np.array(tail))
    doubt = math.log(2.0 / (1.0 - LEVEL))
    spread = np.sqrt(2.0 * losses.var(-1, ddof=1) * doubt / families)
    upper = losses.mean(-1) + spread + 7.0 * doubt / (3.0 * (families - 1))
    return {"Hoeffding-Bentkus": p <= 1.0 - LEVEL, "empirical Bernstein": upper <= risk}


def _relative_entropy(share: Floats, of: float) -> Floats:
    inside = np.clip(share, 1e-12, 1.0 - 1e-12)
    result: Floats = inside * np.log(inside / of) + (1 - inside) * np.log((1 - inside) / (1 - of))
    return result
