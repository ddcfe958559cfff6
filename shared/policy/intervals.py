"""Tests and intervals for a share of wrong results in exchangeable groups, for any sample size.

Groups (companies) are exchangeable, but results within a group are dependent. A rule accepts a_g
results of a group, w_g of them wrong. It keeps the risk R if E[w_g - R a_g] <= 0: then in the long
run at most a share R of the accepted results is wrong. The opposite is refuted by betting: capital
1 is multiplied by 1 + b (R a_g - w_g) for each group, with b so small that it stays positive. If
the rule does not keep the risk, the expected final capital is at most 1. By Markov's inequality it
reaches 1 / delta with probability at most delta.

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
"""A group counts at most this number times the risk: five results at a risk of 5%."""

SQUARED = 1000.0
"""Or this number times the squared risk, if that is more: 40 results at a risk of 20%."""

BETS = 0.98 * 0.5 ** np.arange(7.0)
"""The mixed bets, as shares of the largest possible bet."""

STAKES = np.append(0.5 ** np.arange(1.0, 7.0), 0.5**6)
"""The stake on each bet. They add up to 1."""


PRIOR_GROUPS = 100.0
"""The weight of the expected error rate in a forecast, as a number of groups."""


def group_cap(risk: float) -> float:
    """Return how many accepted results of a group count at most."""
    return max(1.0, WEIGHED * risk, SQUARED * risk**2)


def gains(accepted: Floats, wrong: Floats, risk: float, cap: float | None = None) -> Floats:
    """Return R a - w of each group. A group with more than `cap` results is scaled down.

    Args:
        accepted: accepted results of each group, by rule [..., groups].
        wrong: how many of them are wrong [..., groups].
        risk: R.
        cap: most results of a group that count; default `group_cap`.

    Returns:
        Values from -(1 - R) cap to R cap [..., groups].
    """
    scale = np.minimum(1.0, (cap or group_cap(risk)) / np.maximum(accepted, 1.0))
    result: Floats = (risk * accepted - wrong) * scale
    return result


def log_bets(gained: Floats, risk: float, cap: float | None = None) -> Floats:
    """Return the log of the factor of each group and bet.

    Args:
        gained: from `gains` [..., groups].
        risk: R.
        cap: see `gains`.

    Returns:
        Log factors [bets, ..., groups].
    """
    worst = (1.0 - risk) * (cap or group_cap(risk))
    return np.stack([np.log1p(bet / worst * gained) for bet in BETS])


def log_capital(by_bet: Floats) -> Floats:
    """Return the log of the final capital.

    Args:
        by_bet: sums over all groups of `log_bets` [bets, ...].
    """
    stakes = np.log(STAKES).reshape(-1, *[1] * (by_bet.ndim - 1))
    result: Floats = np.logaddexp.reduce(by_bet + stakes)
    return result


def count_certified(gained: Floats, risk: float, level: float, cap: float | None = None) -> int:
    """Return how many rules, strictest first, are shown to keep the risk.

    Fixed-sequence testing: each rule is tested at the full level until one fails. The probability
    that any passing rule does not keep the risk is at most 1 - level.

    Args:
        gained: from `gains`, strictest rule first [rules, groups].
        risk: R.
        level: of confidence.
        cap: see `gains`.
    """
    capital = log_capital(log_bets(gained, risk, cap).sum(-1))
    return int(leading_passes(capital, level))


def leading_passes(capital: Floats, level: float) -> NDArray[np.int64]:
    """Return how many rules pass before the first failure.

    Args:
        capital: log capital [..., rules].
        level: of confidence.
    """
    failed = capital < -math.log1p(-level)
    beyond = np.ones((*failed.shape[:-1], 1), bool)
    result: NDArray[np.int64] = np.argmax(np.concatenate([failed, beyond], -1), -1)
    return result


def groups_needed(
    gained: Floats, risk: float, level: float, cap: float | None = None
) -> int | None:
    """Return how many groups like these would show that the best rule keeps the risk.

    None: the capital of no rule grows, so more groups would not help.

    Args:
        gained: from `gains` [rules, groups].
        risk: R.
        level: of confidence.
        cap: see `gains`.
    """
    return _needed(log_bets(gained, risk, cap).mean(-1).reshape(len(BETS), -1).max(-1), level)


def _needed(growth: Floats, level: float) -> int | None:
    """The number of groups until the capital is large enough; None if it does not grow.

    Args:
        growth: mean log factor of a group [bets].
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
    cap: float | None = None,
) -> tuple[int | None, int | None]:
    """Forecast how many groups like these would show that a rule keeps the risk, as a range.

    The observed share of errors is shrunk towards the expected one, which counts for
    `PRIOR_GROUPS` groups (the mean of a Beta distribution). The range is the shrunk share minus and
    plus the standard error of its prediction.

    Args:
        accepted: accepted results of each group [groups].
        wrong: how many of them are wrong [groups].
        risk: R.
        level: of confidence.
        expected: the expected share of errors.
        cap: see `gains`.

    Returns:
        The smaller and the larger number of groups; None: no number suffices.
    """
    size = cap or group_cap(risk)
    scale = np.minimum(1.0, size / np.maximum(accepted, 1.0))
    counted = scale * accepted
    seen = float((scale * wrong).sum() / counted.sum())
    bets = BETS / ((1.0 - risk) * size)
    right = np.log1p(np.multiply.outer(bets, risk * counted)).mean(-1)
    loss = np.log1p(-np.multiply.outer(bets, (1.0 - risk) * counted)).mean(-1) - right
    part = PRIOR_GROUPS / (PRIOR_GROUPS + np.count_nonzero(counted))
    share = (1.0 - part) * seen + part * expected
    here = log_bets(gains(accepted, wrong, risk, cap), risk, cap).mean(-1)
    growth = (1.0 - part) * here + part * (right + expected * loss)
    effective = counted.sum() ** 2 / (counted**2).sum()
    coming = (_needed(growth, level) or math.inf) * effective / len(counted)
    error = math.sqrt(share * (1.0 - share) * (1.0 / (effective + PRIOR_GROUPS) + 1.0 / coming))
    fewer, more = (growth + by * loss for by in (-min(error, share), error))
    return _needed(fewer, level), _needed(more, level)


def missed_bound(missed: Floats, answers: Floats) -> Floats:
    """Return a bound on the expected share of missed answers in a new group, by rule.

    Conformal risk control: the bound for n groups is (sum of shares + 1) / (n + 1). Rules must miss
    more and more answers in their order. A group without answers misses none.

    Args:
        missed: missed answers of each group [rules, groups].
        answers: answers of each group [groups].
    """
    shares = missed / np.maximum(answers, 1.0)
    result: Floats = (shares.sum(-1) + 1.0) / (shares.shape[-1] + 1.0)
    return result


def interval(wrong: int, checked: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson of a share; (0, 1) if nothing was checked."""
    tail = (1.0 - level) / 2.0
    low = 0.0 if wrong == 0 else _share(lambda p: 1.0 - binomial_below(wrong, checked, p) < tail)
    high = (
        1.0 if wrong == checked else _share(lambda p: binomial_below(wrong + 1, checked, p) > tail)
    )
    return low, high


def checks_needed(risk: float, level: float = 0.95) -> int:
    """Return how many checks without an error bring the upper end of the interval to `risk`."""
    return math.ceil(math.log((1.0 - level) / 2.0) / math.log1p(-risk))


def binomial_below(count: int, drawn: int, share: float) -> float:
    """Return the probability of fewer than `count` errors among `drawn` results."""
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
    """The largest share for which a condition holds, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
