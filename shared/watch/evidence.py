"""Is what was promised kept on the documents that come in? A test that can be looked at any time.

Checks of what could be accepted come in, document by document (or filing by filing): a of them, w
wrong. If the promise is kept, E[w - R a] <= 0 whatever was seen before, so that capital which is
multiplied by 1 + b (w - R a) with each document grows in no run of documents on average; by Ville's
inequality it ever reaches 1 / c with probability c at most. That holds whatever share of a document
is checked, as long as that is known before it comes. Trouble may begin at any document, and what
was earned before would be lost by then: so a part of the capital is staked anew with each document,
which is a mixture over the moments at which trouble begins, and no more than one capital.

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

from shared.risk import BETS, STAKES, gains, largest

FALSE_ALARMS = 0.05
"""The chance that a promise which is kept is ever doubted, of one specialist of one tenant."""

OF_ALL = 0.5
"""The share of that for all categories together; the rest is divided among the categories. Without
categories all of it is for all together."""

STEPS = 4
"""Thresholds to which is tightened, the promised one included, before nothing is accepted."""


@dataclass(frozen=True)
class Check:
    """A result that could have been accepted, and what a person said of it."""

    category: str
    belief: float
    wrong: bool


@dataclass(frozen=True)
class Evidence:
    """What checks say against a promise: logarithms of the capital of each bet, and counts."""

    documents: int = 0
    checks: int = 0
    wrong: int = 0
    capital: tuple[float, ...] = ()

    def after(self, checks: int, wrong: int, risk: float, most: float | None = None) -> Self:
        """The evidence after one more document.

        Args:
            checks: of it; without any it says nothing.
            wrong: how many of them are wrong.
            risk: R.
            most: checks with which a document counts at most; by default as the promise does.
        """
        if not checks:
            return self
        gained = -float(gains(np.array([checks]), np.array([wrong]), risk, most)[0])
        factors = np.log1p(BETS / (risk * (most or largest(risk))) * gained)
        capital = staked(self.capital or NOTHING, factors, self.documents + 1)
        return type(self)(
            self.documents + 1, self.checks + checks, self.wrong + wrong, tuple(capital.tolist())
        )

    @property
    def doubt(self) -> float:
        """The logarithm of all capital, to be compared with -log(chance of a false alarm)."""
        if not self.capital:
            return 0.0
        parts = np.logaddexp.reduce(np.log(STAKES) + np.array(self.capital))
        return float(np.logaddexp(parts, math.log(unstaked(self.documents))))

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept."""
        return cls(kept["documents"], kept["checks"], kept["wrong"], tuple(kept["capital"]))


NOTHING = (-math.inf,) * len(BETS)


def staked(capital: Sequence[float], factors: Any, number: int) -> Any:
    """Return the logarithms of capital after a stake that is new with the document `number`."""
    new = math.log(unstaked(number - 1) - unstaked(number))
    return np.logaddexp(np.array(capital), new) + factors


def unstaked(documents: int) -> float:
    """Return the share of the capital that is kept for trouble that begins later.

    It falls so slowly that a change after n documents is noticed little later than one at first.
    """
    return math.log(2.0) / math.log(documents + 2.0)


def ladder(belief: float) -> tuple[float, ...]:
    """Return the thresholds to tighten to: each accepts what is half as likely to be wrong."""
    return belief, *(1.0 - (1.0 - belief) / 2.0**step for step in range(1, STEPS))


def accepted_from(belief: float, step: int, left: float = 0.0) -> float | None:
    """Return from which belief on results are accepted; None: none is.

    Args:
        belief: as it was promised.
        step: of the ladder, to which was tightened.
        left: from which on the calibration set speaks for what is left without the categories in
            doubt; above 1 where it does for nothing, and 0 where none is in doubt.
    """
    beliefs = ladder(belief)
    if step >= len(beliefs) or left > 1.0:
        return None
    return max(beliefs[step], left)


@dataclass(frozen=True)
class Watch:
    """What is known of one promise: evidence by step of the ladder, and by category."""

    risk: float
    belief: float
    categories: int
    """How many are watched by themselves; none where results are watched together alone."""
    tolerated: Mapping[str, float] = field(default_factory=dict)
    """The share of wrong ones of a category that the promise leaves room for, where over R."""
    steps: tuple[Evidence, ...] = (Evidence(),) * STEPS
    by_category: Mapping[str, Evidence] = field(default_factory=dict)
    most: float | None = None
    """Checks with which a document counts at most; by default as the promise does. Where none has
    more than one, larger bets can be made."""

    def after(self, checks: Sequence[Check]) -> Watch:
        """The watch after all checks of one more document."""
        steps = tuple(
            one.after(*_counted(c for c in checks if c.belief >= belief), self.risk, self.most)
            for one, belief in zip(self.steps, ladder(self.belief), strict=True)
        )
        by_category = dict(self.by_category)
        for name in sorted({check.category for check in checks if self.categories}):
            mine = _counted(check for check in checks if check.category == name)
            before = by_category.get(name, Evidence())
            by_category[name] = before.after(*mine, self.tolerated.get(name, self.risk), self.most)
        return replace(self, steps=steps, by_category=by_category)

    @property
    def alarm_at(self) -> float:
        """The capital from which on the promise for all together is in doubt."""
        return 1.0 / (FALSE_ALARMS * (OF_ALL if self.categories else 1.0))

    def step(self, now: int) -> int:
        """The step of the ladder to tighten to: this one while it is not in doubt, or else the
        first that checks speak for; STEPS if there is none.
        """
        if now >= STEPS or self.steps[now].doubt < math.log(self.alarm_at):
            return now
        calm = (i for i in range(now + 1, STEPS) if self.steps[i].doubt < math.log(2.0))
        return next(calm, STEPS)

    def doubted(self) -> list[str]:
        """The categories that are in doubt."""
        bar = -math.log(FALSE_ALARMS * (1.0 - OF_ALL) / max(1, self.categories))
        return [name for name, one in self.by_category.items() if one.doubt >= bar]

    def to_json(self) -> dict[str, Any]:
        """What is kept of the evidence."""
        return {
            "steps": [one.to_json() for one in self.steps],
            "by_category": {name: one.to_json() for name, one in self.by_category.items()},
        }

    def with_json(self, kept: Mapping[str, Any]) -> Watch:
        """The same promise, with the evidence that was kept."""
        steps = tuple(Evidence.of_json(one) for one in kept["steps"])
        named = {name: Evidence.of_json(one) for name, one in kept["by_category"].items()}
        return replace(self, steps=steps, by_category=named)


def replayed(start: Watch, documents: Iterable[Sequence[Check]]) -> Watch:
    """The watch after documents in their order: where a decision among them was undone."""
    for checks in documents:
        start = start.after(checks)
    return start


def _counted(checks: Iterable[Check]) -> tuple[int, int]:
    wrong = [check.wrong for check in checks]
    return len(wrong), sum(wrong)
