"""What a policy would do with results of the past, counted, and how many errors that would leave.

Clauses of contracts and findings of reports are counted alike (`services/extraction/trying.py`,
`services/triage/trying.py`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from shared.events import Route
from shared.watch.refitting import Decided, share_within

CHANGED = ("reject", "correct")
"""Verdicts that say that a result was not right."""

NOTHING = 1e-15
"""A probability that is left out."""
EVEN = 1e-9
"""A mean that is no further from a whole number is that number."""


@dataclass(frozen=True)
class Seen:
    """What people decided here about results that a policy would accept."""

    decided: int
    wrong: int
    share: float
    """Of wrong ones, each decision by how many results it stands for."""
    interval: tuple[float, float]
    """Of that share (95%)."""


@dataclass
class Tally:
    """What a policy does with all results of one kind."""

    results: int = 0
    results_decided: int = 0
    """Those that a person has decided about."""
    accepted: int = 0
    sampled: int = 0
    """Sure enough to be accepted, and sent to a person as a check of that."""
    reviewed: int = 0
    """All that a person is asked about, those that are checked among them."""
    words_reviewed: int = 0
    escalated: int = 0
    """Questions that a frontier model is asked, if the budget has the money; a person looks at what
    it was asked about as well."""
    usd: float = 0.0
    """What they are expected to cost."""
    doubts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How likely each accepted one is wrong, as is known of its specialist, by category."""
    decided: int = 0
    """Accepted ones that a person has decided about."""
    changed: int = 0
    """Of these, rejected or corrected: what the machine would have accepted wrongly."""
    checked: list[Decided] = field(default_factory=list)
    """What the suite has kept of decisions about results that it accepts, or has checked: those
    that were drawn, each of which stands for others, and those that people were asked about."""
    tightened: dict[str, None] = field(default_factory=dict)
    """Why less is accepted than was promised for, in the order in which it came up."""
    why_not: Counter[str] = field(default_factory=Counter)
    """Results that a person is asked about because nothing can be promised, by the reason."""

    def add(
        self,
        category: str,
        text: str,
        route: Route,
        sampled: bool,
        belief: float,
        verdict: str | None,
        decided: Decided | None = None,
    ) -> None:
        """Count a result.

        Args:
            category: of a clause, or the check of a finding.
            text: that a person reads to decide.
            route: that it would have.
            sampled: whether it is sent to a person as a check.
            belief: how likely it is right.
            verdict: of a person since; None if nobody decided.
            decided: what is kept of that to watch the promise; None if it stands for nothing.
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
        self.doubts[category].append(1.0 - belief)
        self.decided += verdict is not None
        self.changed += verdict in CHANGED

    @property
    def expected_errors(self) -> float:
        """How many of the accepted are wrong, on average."""
        return sum(map(sum, self.doubts.values()))

    def seen(self) -> Seen | None:
        """What was decided here about what it accepts; None if nothing was."""
        if not self.checked:
            return None
        _, group = np.unique([one.group for one in self.checked], return_inverse=True)
        weight = np.array([one.weight for one in self.checked])
        wrong = np.array([one.wrong for one in self.checked], float)
        accepted = np.bincount(group, weight).astype(float)
        missed = np.bincount(group, weight * wrong).astype(float)
        return Seen(
            len(self.checked),
            int(wrong.sum()),
            float(missed.sum() / accepted.sum()),
            share_within(accepted, missed, weight),
        )

    def errors_seen(self, seen: Seen) -> tuple[float, tuple[int, int]]:
        """How many of the accepted are wrong if they are so as often as those decided here, and
        between which numbers, as the interval of that share has it.
        """
        low, high = seen.interval
        within = math.floor(low * self.accepted), math.ceil(high * self.accepted)
        return seen.share * self.accepted, within

    def errors_by_category(self) -> dict[str, tuple[float, int]]:
        """Errors expected in each category and how many of it are accepted, most errors first."""
        found = {name: (sum(mine), len(mine)) for name, mine in self.doubts.items()}
        return dict(sorted(found.items(), key=lambda one: (-one[1][0], one[0])))

    def errors_within(self, level: float = 0.95) -> tuple[int, int]:
        """Between which numbers the errors lie with at least that probability.

        These are the quantiles of the sum of independent trials, one for each accepted result (the
        Poisson binomial distribution, computed exactly), and wider where they do not hold the mean
        (`expected_errors`): of 0.02 expected errors 98% is none, and it is said to be 0 to 1. That
        the beliefs themselves may be off, and that errors in one document go together, widens it
        and is not in it.
        """
        chance = np.ones(1)
        for doubt in (one for mine in self.doubts.values() for one in mine):
            chance = np.convolve(chance, (1.0 - doubt, doubt))
            chance = chance[: int(np.flatnonzero(chance > NOTHING)[-1]) + 1]
        below = np.cumsum(chance) / chance.sum()
        tail = (1.0 - level) / 2
        low, high = np.searchsorted(below, (tail, 1.0 - tail))
        mean = self.expected_errors
        return min(int(low), math.floor(mean + EVEN)), max(int(high), math.ceil(mean - EVEN))
