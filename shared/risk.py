"""Tests and intervals for a share of wrong results, of any sample size, for groups of results.

What is accepted comes in groups (companies) that are exchangeable, while results within a group
hang together. A rule that accepts a_g results of a group, w_g of them wrong, keeps the risk R if
E[w_g - R a_g] <= 0, so that in the long run at most a share R of what it accepts is wrong. That
it does not is refuted by betting: capital 1 is multiplied by 1 + b (R a_g - w_g) for each group,
where b is so small that it never falls below zero. If the rule does not keep the risk, the capital
at the end is 1 at most in expectation, and by Markov's inequality reaches 1 / delta with
probability delta at most.

Sources: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", 2023
(capital, mixtures of bets); Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test", 2021
(fixed-sequence testing of rules, the strictest first); Angelopoulos, Bates, Fisch, Lei, Schuster,
"Conformal Risk Control", 2022 (missed answers); Clopper, Pearson, 1934 (the interval); Gelman,
Carlin, Stern, Dunson, Vehtari, Rubin, "Bayesian Data Analysis", 2013, 2.1 and 2.4 (forecasts).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHED = 100.0
"""A group counts with at most so many accepted results, times the risk: five at a risk of 5%."""

SQUARED = 1000.0
"""... or so many, times the square of the risk, if that is more: 40 at a risk of 20%."""

BETS = 0.98 * 0.5 ** np.arange(7.0)
"""The bets that are mixed, as shares of the largest one; a larger one is the better the surer."""

STAKES = np.append(0.5 ** np.arange(1.0, 7.0), 0.5**6)
"""What is staked on each of them; together 1."""


BEFORE = 100.0
"""So many groups what was expected before counts for in a forecast: chosen among 50, 100, 200 and
400 on streams of `infra.forecast_show`, as the fewest by which two looks one after another are
alike, for the more there are, the longer a wrong expectation is told."""


def largest(risk: float) -> float:
    """Return how many accepted results a group counts with at most."""
    return max(1.0, WEIGHED * risk, SQUARED * risk**2)


def gains(accepted: Floats, wrong: Floats, risk: float, most: float | None = None) -> Floats:
    """Return R a - w of each group, a group of more results than `most` scaled down to that.

    Args:
        accepted: results of each group that a rule accepts, by rule [..., groups].
        wrong: how many of them are wrong.
        risk: R.
        most: results with which a group counts; by default `largest`.

    Returns:
        Values from -(1 - R) most to R most [..., groups].
    """
    scale = np.minimum(1.0, (most or largest(risk)) / np.maximum(accepted, 1.0))
    result: Floats = (risk * accepted - wrong) * scale
    return result


def log_bets(gained: Floats, risk: float, most: float | None = None) -> Floats:
    """Return by how much each group multiplies the capital under each bet, as logarithms.

    Args:
        gained: see `gains` [..., groups].
        risk: R.
        most: see `gains`.

    Returns:
        Values by bet [bets, ..., groups].
    """
    worst = (1.0 - risk) * (most or largest(risk))
    return np.stack([np.log1p(bet / worst * gained) for bet in BETS])


def log_capital(by_bet: Floats) -> Floats:
    """Return the logarithm of the capital at the end, whatever the order of the groups.

    Args:
        by_bet: sums over all groups of `log_bets` [bets, ...].
    """
    stakes = np.log(STAKES).reshape(-1, *[1] * (by_bet.ndim - 1))
    result: Floats = np.logaddexp.reduce(by_bet + stakes)
    return result


def kept_until(gained: Floats, risk: float, level: float, most: float | None = None) -> int:
    """Return how many rules, from the first on, are shown to keep the risk.

    Each is tested at the full level until one fails, and those behind it are not looked at; so the
    chance that any of those that pass does not keep the risk is at most 1 - level.

    Args:
        gained: see `gains`, by rule, the strictest first [rules, groups].
        risk: R.
        level: of confidence.
        most: see `gains`.
    """
    capital = log_capital(log_bets(gained, risk, most).sum(-1))
    return int(passing(capital, level))


def passing(capital: Floats, level: float) -> NDArray[np.int64]:
    """Return how many rules pass before the first that fails.

    Args:
        capital: logarithms, by rule in the last axis [..., rules].
        level: of confidence.
    """
    failed = capital < -math.log1p(-level)
    beyond = np.ones((*failed.shape[:-1], 1), bool)
    result: NDArray[np.int64] = np.argmax(np.concatenate([failed, beyond], -1), -1)
    return result


def groups_needed(
    gained: Floats, risk: float, level: float, most: float | None = None
) -> int | None:
    """Return of how many groups like these the likeliest rule would be shown to keep the risk.

    None if the capital of no rule grows, so that more of the same would not help.

    Args:
        gained: see `gains`, by rule [rules, groups].
        risk: R.
        level: of confidence.
        most: see `gains`.
    """
    return _needed(log_bets(gained, risk, most).mean(-1).reshape(len(BETS), -1).max(-1), level)


def _needed(growth: Floats, level: float) -> int | None:
    """Return how many groups the capital takes; None if it does not grow.

    Args:
        growth: by which a group multiplies it on average, as a logarithm [bets].
        level: of confidence.
    """
    wanted = -math.log1p(-level) - np.log(STAKES)
    needed = [math.ceil(w / g) for w, g in zip(wanted, growth, strict=True) if g > 0]
    return min(needed, default=None)


def groups_forecast(
    accepted: Floats,
    wrong: Floats,
    risk: float,
    level: float,
    expected: float,
    most: float | None = None,
) -> tuple[int | None, int | None]:
    """Return between how many groups like these a rule would be shown to keep the risk.

    What few groups say by themselves changes with each further mistake, and the forecast goes with
    one over the square of what is left to the risk. So the share of wrong ones is drawn to what was
    expected before anything was seen, which counts for `BEFORE` groups (the mean of a Beta
    distribution that many observations strong). The range is that share less and plus the standard
    error of its prediction: of the share itself, and of chance in as many groups as it would take.
    None stands for no number of groups at all.

    Args:
        accepted: results of each group that the rule accepts [groups].
        wrong: how many of them are wrong.
        risk: R.
        level: of confidence.
        expected: the share of wrong ones that was expected.
        most: see `gains`.
    """
    size = most or largest(risk)
    scale = np.minimum(1.0, size / np.maximum(accepted, 1.0))
    counted = scale * accepted
    seen = float((scale * wrong).sum() / counted.sum())
    bets = BETS / ((1.0 - risk) * size)
    right = np.log1p(np.multiply.outer(bets, risk * counted)).mean(-1)
    loss = np.log1p(-np.multiply.outer(bets, (1.0 - risk) * counted)).mean(-1) - right
    part = BEFORE / (BEFORE + np.count_nonzero(counted))
    share = (1.0 - part) * seen + part * expected
    here = log_bets(gains(accepted, wrong, risk, most), risk, most).mean(-1)
    growth = (1.0 - part) * here + part * (right + expected * loss)
    effective = counted.sum() ** 2 / (counted**2).sum()
    coming = (_needed(growth, level) or math.inf) * effective / len(counted)
    error = math.sqrt(share * (1.0 - share) * (1.0 / (effective + BEFORE) + 1.0 / coming))
    fewer, more = (growth + by * loss for by in (-min(error, share), error))
    return _needed(fewer, level), _needed(more, level)


def missed_at_most(missed: Floats, answers: Floats) -> Floats:
    """Return a bound on the expected share that is missed of a new group's answers, by rule.

    By conformal risk control: with n groups the bound is (sum of their shares + 1) / (n + 1), for
    rules of which each misses no less than those before it. Groups without answers miss none.

    Args:
        missed: answers of each group that a rule misses [rules, groups].
        answers: of each group [groups].
    """
    shares = missed / np.maximum(answers, 1.0)
    result: Floats = (shares.sum(-1) + 1.0) / (shares.shape[-1] + 1.0)
    return result


def interval(wrong: int, looked_at: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share, of which `wrong` of `looked_at` were seen.

    The bounds of Clopper and Pearson, found by halving: (0, 1) where nothing was looked at.
    """
    tail = (1.0 - level) / 2.0
    low = 0.0 if wrong == 0 else _share(lambda p: 1.0 - below(wrong, looked_at, p) < tail)
    high = 1.0 if wrong == looked_at else _share(lambda p: below(wrong + 1, looked_at, p) > tail)
    return low, high


def enough(risk: float, level: float = 0.95) -> int:
    """Return how many have to be looked at, none of them wrong, until their interval ends at `risk`
    or below; `risk` is inside (0, 1).
    """
    return math.ceil(math.log((1.0 - level) / 2.0) / math.log1p(-risk))


def below(count: int, drawn: int, share: float) -> float:
    """Return the chance that fewer than `count` of `drawn` are wrong."""
    log_odds = math.log(share), math.log1p(-share)
    terms = (
        math.exp(
            math.lgamma(drawn + 1)
            - math.lgamma(wrong + 1)
            - math.lgamma(drawn - wrong + 1)
            + wrong * log_odds[0]
            + (drawn - wrong) * log_odds[1]
        )
        for wrong in range(count)
    )
    return min(1.0, math.fsum(terms))


def _share(holds: Callable[[float], bool]) -> float:
    """Return the share up to which something holds, which holds for small ones."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
