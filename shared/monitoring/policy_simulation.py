"""Counts how a policy would route stored results, and the errors it would leave.

Used for clauses and for findings (`services/extraction/policy_simulation.py`,
`services/triage/policy_simulation.py`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from shared.events import Route
from shared.monitoring.refit import DecidedResult, share_interval

CHANGED = ("reject", "correct")
"""Verdicts about a wrong result."""

NEGLIGIBLE = 1e-15
"""Smaller probabilities are dropped."""
ROUNDING = 1e-9
"""Means this close to a whole number count as whole."""


@dataclass(frozen=True)
class ObservedErrors:
    """Decisions about results that a policy would accept."""

    decided: int
    wrong: int
    share: float
    """The weighted share of wrong results."""
    interval: tuple[float, float]
    """95% interval of the share."""


@dataclass
class PolicySimulation:
    """The effect of a policy on all results of one kind."""

    results: int = 0
    results_decided: int = 0
    """Results with a decision."""
    accepted: int = 0
    sampled: int = 0
    """Acceptable results that go to people as audit samples."""
    reviewed: int = 0
    """Results that people review, audit samples included."""
    words_reviewed: int = 0
    escalated: int = 0
    """Questions to a frontier model, if the budget allows them. People review these too."""
    usd: float = 0.0
    """Expected cost of the questions."""
    error_chances: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Probability of error of each accepted result, by category."""
    decided: int = 0
    """Accepted results with a decision."""
    changed: int = 0
    """Results that people rejected or corrected."""
    checked: list[DecidedResult] = field(default_factory=list)
    """Decided results that it accepts or samples, with their weights."""
    tightened: dict[str, None] = field(default_factory=dict)
    """Reasons why less is accepted, in order of appearance."""
    no_guarantee_reason: Counter[str] = field(default_factory=Counter)
    """Results reviewed because there is no guarantee, by reason."""

    def add(
        self,
        category: str,
        text: str,
        route: Route,
        sampled: bool,
        belief: float,
        verdict: str | None,
        decided: DecidedResult | None = None,
    ) -> None:
        """Count a result.

        Args:
            category: of a clause, or the check of a finding.
            text: that a person reads to decide.
            route: under the policy.
            sampled: whether it is an audit sample.
            belief: probability that it is right.
            verdict: of a person, if any.
            decided: the stored decision with its weight, if any.
        """
        self.results += 1
        self.results_decided += verdict is not None
        if decided is not None and (route == "accept" or sampled):
            self.checked.append(decided)
        if route != "accept":
            self.reviewed += 1
            self.sampled += sampled
            self.words_reviewed += len(text.split())
            return
        self.accepted += 1
        self.error_chances[category].append(1.0 - belief)
        self.decided += verdict is not None
        self.changed += verdict in CHANGED

    @property
    def expected_errors(self) -> float:
        """Expected number of errors among the accepted results."""
        return sum(map(sum, self.error_chances.values()))

    def observed_errors(self) -> ObservedErrors | None:
        """The errors in decided results; None without any."""
        if not self.checked:
            return None
        _, group = np.unique([result.group for result in self.checked], return_inverse=True)
        weight = np.array([result.weight for result in self.checked])
        wrong = np.array([result.wrong for result in self.checked], float)
        accepted = np.bincount(group, weight).astype(float)
        missed = np.bincount(group, weight * wrong).astype(float)
        return ObservedErrors(
            len(self.checked),
            int(wrong.sum()),
            float(missed.sum() / accepted.sum()),
            share_interval(accepted, missed, weight),
        )

    def estimated_errors(self, observed: ObservedErrors) -> tuple[float, tuple[int, int]]:
        """Errors among the accepted results at the observed rate, and their interval."""
        low, high = observed.interval
        within = math.floor(low * self.accepted), math.ceil(high * self.accepted)
        return observed.share * self.accepted, within

    def errors_by_category(self) -> dict[str, tuple[float, int]]:
        """Expected errors and accepted results of each category, most errors first."""
        counts = {name: (sum(mine), len(mine)) for name, mine in self.error_chances.items()}
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1][0], entry[0])))

    def errors_within(self, level: float = 0.95) -> tuple[int, int]:
        """Return an interval for the number of errors, with at least probability `level`.

        It has the exact quantiles of the Poisson binomial distribution and always contains
        `expected_errors`. It ignores errors of the beliefs and correlation within documents.
        """
        chance = np.ones(1)
        for error in (value for mine in self.error_chances.values() for value in mine):
            chance = np.convolve(chance, (1.0 - error, error))
            chance = chance[: int(np.flatnonzero(chance > NEGLIGIBLE)[-1]) + 1]
        below = np.cumsum(chance) / chance.sum()
        tail = (1.0 - level) / 2
        low, high = np.searchsorted(below, (tail, 1.0 - tail))
        mean = self.expected_errors
        return min(int(low), math.floor(mean + ROUNDING)), max(
            int(high), math.ceil(mean - ROUNDING)
        )
