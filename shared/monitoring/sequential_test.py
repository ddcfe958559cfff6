"""A sequential test of a risk guarantee on new documents, valid at any time.

Each document (or filing) brings `a` decided checks, `w` of them wrong. If the guarantee holds,
E[w - R a] <= 0 given the past. Then capital multiplied by 1 + b (w - R a) for each document does
not grow on average. By Ville's inequality it ever reaches 1 / c with probability at most c. This
needs a sampling share that is fixed before the document comes.

A failure may begin at any document. So each document gets a new part of the stake, which is a
mixture over the moments of change with a total capital of 1.

Sources: Ville, "Etude critique de la notion de collectif", 1939; Waudby-Smith, Ramdas, "Estimating
means of bounded random variables by betting", JRSS B, 2024 (bets); Shin, Ramdas, Rinaldo,
"E-detectors", 2024 (mixtures over the moments of change).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np

from shared.policy.intervals import BETS, STAKES, gains, group_cap

FALSE_ALARMS = 0.05
"""Probability that a kept guarantee of a tenant's specialist is ever suspended."""

POOLED_SHARE = 0.5
"""The share of `FALSE_ALARMS` for the pooled test; the categories divide the remainder. Without
categories the pooled test has all of it."""

STEPS = 4
"""Thresholds on the ladder, with the first one. After the last one no result is accepted."""


@dataclass(frozen=True)
class Check:
    """A decided audit sample."""

    category: str
    belief: float
    wrong: bool


@dataclass(frozen=True)
class Evidence:
    """Evidence against a guarantee: counts and the log capital of each bet."""

    documents: int = 0
    checks: int = 0
    wrong: int = 0
    capital: tuple[float, ...] = ()

    def after(self, checks: int, wrong: int, risk: float, cap: float | None = None) -> Self:
        """The evidence after one more document.

        Args:
            checks: its number of checks; 0 changes nothing.
            wrong: its number of wrong checks.
            risk: R.
            cap: most checks of a document that count; default `group_cap`.
        """
        if not checks:
            return self
        gained = -float(gains(np.array([checks]), np.array([wrong]), risk, cap)[0])
        factors = np.log1p(BETS / (risk * (cap or group_cap(risk))) * gained)
        capital = stake(self.capital or NO_CAPITAL, factors, self.documents + 1)
        return type(self)(
            self.documents + 1, self.checks + checks, self.wrong + wrong, tuple(capital.tolist())
        )

    @property
    def log_capital(self) -> float:
        """The log of the total capital; compare with -log(probability of a false alarm)."""
        if not self.capital:
            return 0.0
        parts = np.logaddexp.reduce(np.log(STAKES) + np.array(self.capital))
        return float(np.logaddexp(parts, math.log(unstaked_share(self.documents))))

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read stored evidence."""
        counts = stored["documents"], stored["checks"], stored["wrong"]
        return cls(*counts, tuple(stored["capital"]))


NO_CAPITAL = (-math.inf,) * len(BETS)


def stake(capital: Sequence[float], factors: Any, number: int) -> Any:
    """Return the log capital after document `number` with its new stake."""
    new = math.log(unstaked_share(number - 1) - unstaked_share(number))
    return np.logaddexp(np.array(capital), new) + factors


def unstaked_share(documents: int) -> float:
    """Return the share of the capital that is not staked after this many documents.

    It falls slowly, so that a late change is noticed almost as fast as an early one.
    """
    return math.log(2.0) / math.log(documents + 2.0)


def ladder(belief: float) -> tuple[float, ...]:
    """Return the thresholds of belief. Each step halves the accepted probability of error."""
    return belief, *(1.0 - (1.0 - belief) / 2.0**step for step in range(1, STEPS))


def acceptance_belief(belief: float, step: int, remaining: float = 0.0) -> float | None:
    """Return the acceptance threshold; None: nothing is accepted.

    Args:
        belief: the threshold of the guarantee.
        step: on the ladder.
        remaining: the threshold certified without the suspended categories; above 1: none is, 0: no
            category is suspended.
    """
    beliefs = ladder(belief)
    if step >= len(beliefs) or remaining > 1.0:
        return None
    return max(beliefs[step], remaining)


@dataclass(frozen=True)
class SequentialTest:
    """The test of one guarantee: evidence by step of the ladder and by category."""

    risk: float
    belief: float
    categories: int
    """Number of categories with a test of their own; 0: only the pooled test."""
    tolerated: Mapping[str, float] = field(default_factory=dict)
    """The allowed share of errors of a category, where it exceeds R."""
    steps: tuple[Evidence, ...] = (Evidence(),) * STEPS
    by_category: Mapping[str, Evidence] = field(default_factory=dict)
    most: float | None = None
    """Most checks of a document that count; default `group_cap`. Fewer allow larger bets."""

    def after(self, checks: Sequence[Check]) -> SequentialTest:
        """The test after all checks of one more document."""
        steps = tuple(
            evidence.after(*_count(c for c in checks if c.belief >= belief), self.risk, self.most)
            for evidence, belief in zip(self.steps, ladder(self.belief), strict=True)
        )
        by_category = dict(self.by_category)
        for name in sorted({check.category for check in checks if self.categories}):
            mine = _count(check for check in checks if check.category == name)
            before = by_category.get(name, Evidence())
            by_category[name] = before.after(*mine, self.tolerated.get(name, self.risk), self.most)
        return replace(self, steps=steps, by_category=by_category)

    @property
    def alarm_at(self) -> float:
        """The capital at which the pooled test raises an alarm."""
        return 1.0 / (FALSE_ALARMS * (POOLED_SHARE if self.categories else 1.0))

    def step(self, now: int) -> int:
        """Return `now` without an alarm, otherwise the next calm step of the ladder, or STEPS."""
        if now >= STEPS or self.steps[now].log_capital < math.log(self.alarm_at):
            return now
        calm = (i for i in range(now + 1, STEPS) if self.steps[i].log_capital < math.log(2.0))
        return next(calm, STEPS)

    def suspended_categories(self) -> list[str]:
        """The categories whose own test raises an alarm."""
        alarm = -math.log(FALSE_ALARMS * (1.0 - POOLED_SHARE) / max(1, self.categories))
        return [name for name, mine in self.by_category.items() if mine.log_capital >= alarm]

    def to_json(self) -> dict[str, Any]:
        """The evidence as stored."""
        named = {name: asdict(evidence) for name, evidence in self.by_category.items()}
        return {"steps": [asdict(evidence) for evidence in self.steps], "by_category": named}

    def with_json(self, stored: Mapping[str, Any]) -> SequentialTest:
        """The same test with stored evidence."""
        steps = tuple(Evidence.of_json(step) for step in stored["steps"])
        named = {name: Evidence.of_json(mine) for name, mine in stored["by_category"].items()}
        return replace(self, steps=steps, by_category=named)


def replay(start: SequentialTest, documents: Iterable[Sequence[Check]]) -> SequentialTest:
    """Repeat the test on documents in order, when a decision was undone."""
    for checks in documents:
        start = start.after(checks)
    return start


def _count(checks: Iterable[Check]) -> tuple[int, int]:
    wrong = [check.wrong for check in checks]
    return len(wrong), sum(wrong)
