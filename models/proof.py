"""Is a stated risk kept? Thresholds chosen on drawn families, judged by the risk that comes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.guarantee import LOWEST, Calibration, thresholds_of
from shared.risk import below, gains, largest, log_bets, log_capital, passing

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Choose = Callable[[Floats], Integers]
"""Takes how often each family counts in each draw [families, D]; returns how many thresholds of a
way are taken in each [D]."""

RISKS = (0.01, 0.02, 0.05, 0.1, 0.2)
LEVEL = 0.95
DRAWS = 500
SEED = 7
PROMISED = "with the guarantee"


@dataclass(frozen=True)
class Way:
    """What is accepted at each of some thresholds, by one score."""

    thresholds: Floats  # falling [T]
    accepted: Floats  # [T, families]
    wrong: Floats  # [T, families]

    @classmethod
    def of(cls, known: Calibration, score: Floats, thresholds: Floats) -> Way:
        """Count what a score accepts."""
        return cls(thresholds, *replace(known, belief=score).counts(thresholds))

    def shares(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the share of wrong ones, and how many are accepted, by threshold and draw [T, D].

        Args:
            weights: how often each family counts in each draw [families, D].
        """
        accepted = self.accepted @ weights
        return (self.wrong @ weights) / np.maximum(accepted, 1.0), accepted

    def tested(self, weights: Floats, risk: float, most: float | None = None) -> Integers:
        """Return how many thresholds are shown to keep a risk, in each draw [D]."""
        by_bet = log_bets(gains(self.accepted, self.wrong, risk, most), risk, most) @ weights
        return passing(log_capital(by_bet).T, LEVEL)

    def fitted(self, weights: Floats, risk: float) -> Integers:
        """Return how many thresholds seem to keep it in each draw, without any margin [D]."""
        share, accepted = self.shares(weights)
        fits = (share <= risk) & (accepted > 0)
        last = len(fits) - np.argmax(fits[::-1], 0)
        return np.where(fits.any(0), last, 0)


def proof(known: Calibration, confidence: Floats, score: Floats) -> list[dict[str, Any]]:
    """Draw families, choose thresholds, and look at the risk that comes out.

    Twice: families drawn with replacement as often as there are, judged by the risk over all
    families, which is then the true one; and half of the families, judged by the other half.

    Args:
        known: the calibration set.
        confidence: of its clauses, as served.
        score: of its clauses, before calibration.
    """
    draw = np.random.default_rng(SEED)
    families = known.families
    weights = draw.multinomial(families, np.full(families, 1 / families), DRAWS).T.astype(float)
    half = np.zeros((families, DRAWS))
    for one in range(DRAWS):
        half[draw.permutation(families)[: families // 2], one] = 1.0
    shown = np.bincount(known.family, minlength=families).astype(float)
    found = []
    for risk in RISKS:
        for name, (way, choose) in ways_of(known, confidence, score, risk).items():
            drawn = outcome(way, choose(weights), np.ones((families, DRAWS)), risk, shown)
            halves = outcome(way, choose(half), 1.0 - half, risk, shown)
            found.append({"risk": risk, "way": name, "drawn": drawn, "halves": halves})
    return found


def ways_of(
    known: Calibration, confidence: Floats, score: Floats, risk: float
) -> dict[str, tuple[Way, Choose]]:
    """Return ways to accept for a risk: what each accepts, and how it chooses its threshold."""
    ours = Way.of(known, known.belief, thresholds_of(risk))
    fine = Way.of(known, known.belief, np.linspace(0.995, LOWEST, 140))
    said = np.array([1.0 - risk])
    return {
        PROMISED: (ours, partial(Way.tested, ours, risk=risk)),
        "the same threshold rule without a margin": (fine, partial(Way.fitted, fine, risk=risk)),
        "confidence of 1 - R and more": (Way.of(known, confidence, said), always),
        "confidence over 0.9": (Way.of(known, confidence, np.array([0.9])), always),
        "uncalibrated score of 1 - R and more": (Way.of(known, score, said), always),
        "uncalibrated score over 0.9": (Way.of(known, score, np.array([0.9])), always),
    }


def always(weights: Floats) -> Integers:
    """Return the only threshold for each draw."""
    return np.ones(weights.shape[1], np.int64)


def outcome(
    way: Way, kept: Integers, weights: Floats, risk: float, shown: Floats
) -> dict[str, float | None]:
    """Say what came out where `kept` thresholds were taken in each draw, by families of weight."""
    share, accepted = way.shares(weights)
    attained = kept > 0
    at = np.maximum(kept - 1, 0), np.arange(len(kept))
    realised = share[at][attained]
    covered = accepted[at] * attained / (shown @ weights)
    return {
        "attained": float(attained.mean()),
        "risk": float(realised.mean()) if attained.any() else None,
        "exceeded": float((attained & (share[at] > risk)).mean()),
        "covered": float(covered.mean()),
    }


def bounds(known: Calibration) -> list[dict[str, Any]]:
    """Return what each of three tests accepts of all clauses, at each risk."""
    found = []
    for risk in RISKS:
        way = Way.of(known, known.belief, thresholds_of(risk))
        gained = gains(way.accepted, way.wrong, risk)
        passed = {
            "betting": log_capital(log_bets(gained, risk).sum(-1)) >= -math.log1p(-LEVEL),
            **by_other_bounds(gained, risk),
        }
        for name, ok in passed.items():
            kept = int(np.argmin(np.append(ok, False)))
            accepted = int(way.accepted[kept - 1].sum()) if kept else 0
            found.append({"risk": risk, "bound": name, "accepted": accepted})
    return found


def by_other_bounds(gained: Floats, risk: float) -> dict[str, NDArray[np.bool_]]:
    """Test by Hoeffding and Bentkus, and by the empirical Bernstein bound [rules] each.

    Sources: Bates et al., "Distribution-free, risk-controlling prediction sets", 2021; Maurer,
    Pontil, "Empirical Bernstein bounds and sample variance penalization", 2009.
    """
    size = largest(risk)
    losses = risk - gained / size  # inside [0, 1]; at most R in expectation is what is to be shown
    families = losses.shape[-1]
    mean = np.minimum(losses.mean(-1), risk)
    apart = _relative_entropy(mean, risk)
    tail = [below(math.ceil(families * m) + 1, families, risk) for m in mean]
    p = np.minimum(np.exp(-families * apart), math.e * np.array(tail))
    doubt = math.log(2.0 / (1.0 - LEVEL))
    spread = np.sqrt(2.0 * losses.var(-1, ddof=1) * doubt / families)
    upper = losses.mean(-1) + spread + 7.0 * doubt / (3.0 * (families - 1))
    return {"Hoeffding-Bentkus": p <= 1.0 - LEVEL, "empirical Bernstein": upper <= risk}


def _relative_entropy(share: Floats, of: float) -> Floats:
    inside = np.clip(share, 1e-12, 1.0 - 1e-12)
    result: Floats = inside * np.log(inside / of) + (1 - inside) * np.log((1 - inside) / (1 - of))
    return result
