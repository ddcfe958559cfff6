"""Drift detection: do new documents resemble the reference set and earlier documents?

The test needs a few figures of each document, and no labels. Without drift the rank of a figure
among all earlier ones is uniform and independent of earlier ranks (a smoothed conformal p-value).
Capital bet on extreme ranks then does not grow on average. By Ville's inequality it ever reaches
1 / c with probability at most c.

Sources: Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003; Fedorova, Gammerman,
Nouretdinov, Vovk, "Plug-in martingales for testing exchangeability on-line", 2012; for the index,
Siddiqi, "Credit risk scorecards", 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from shared.monitoring.sequential_test import stake, unstaked_share

FALSE_ALARMS = 0.05
"""The probability of a false alarm, ever."""

POWERS = np.array([0.3, 0.5, 0.7])
"""Exponents e of the bets: densities e p ** (e - 1) of the rank p, and of 1 - p."""

NO_CAPITAL = (-math.inf,) * 2 * len(POWERS)
"""Log capital of each bet before the first document."""

MIN_SAMPLING_SHARE = 0.2
"""The smallest sampling share of acceptable results after drift."""

BANDS = 10
"""Bands of the stability index."""


@dataclass(frozen=True)
class Drift:
    """Evidence of drift: counts and the log capital of each bet, by figure."""

    documents: Mapping[str, int]
    capital: Mapping[str, Sequence[float]]
    crossed: Sequence[str] = ()
    """Figures that raised an alarm alone, at the alarm or later."""

    @classmethod
    def none(cls, names: Iterable[str]) -> Self:
        """The evidence before the first document, for figures of these names."""
        figures = tuple(names)
        return cls(dict.fromkeys(figures, 0), dict.fromkeys(figures, NO_CAPITAL))

    def after(self, ranks: Mapping[str, float]) -> Self:
        """The evidence after one more document, given the ranks of its figures in (0, 1)."""
        documents, capital = dict(self.documents), dict(self.capital)
        for name, rank in ranks.items():
            ends = np.log(np.clip([rank, 1.0 - rank], 1e-12, 1.0))
            bets = (np.log(POWERS)[None] + (POWERS - 1.0)[None] * ends[:, None]).ravel()
            documents[name] = documents.get(name, 0) + 1
            before = capital.get(name, NO_CAPITAL)
            capital[name] = tuple(stake(before, bets, documents[name]).tolist())
        return replace(self, documents=documents, capital=capital)

    def restarted(self, names: Iterable[str]) -> Self:
        """The evidence with some figures restarted."""
        new = type(self).none(name for name in names if name in self.documents)
        documents = {**self.documents, **new.documents}
        return replace(self, documents=documents, capital={**self.capital, **new.capital})

    @property
    def log_capital(self) -> float:
        """The log of the mean capital over figures and bets."""
        parts = [self._log_capital(name) for name in self.documents]
        return float(np.logaddexp.reduce(parts) - math.log(len(parts))) if parts else 0.0

    def _log_capital(self, name: str) -> float:
        staked_now = np.logaddexp.reduce(np.array(self.capital[name])) - math.log(2 * len(POWERS))
        return float(np.logaddexp(staked_now, math.log(unstaked_share(self.documents[name]))))

    @property
    def crossing(self) -> tuple[str, ...]:
        """Figures that raise an alarm alone."""
        return tuple(n for n in self.documents if self._log_capital(n) >= -math.log(FALSE_ALARMS))

    @property
    def detected(self) -> bool:
        """Whether the evidence raises an alarm."""
        return self.log_capital >= -math.log(FALSE_ALARMS)

    def to_json(self) -> dict[str, Any]:
        """The evidence as stored."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read stored evidence."""
        return cls(stored["documents"], stored["capital"], tuple(stored["crossed"]))


def rank_of(below: int, equal: int, total: int, chance: float) -> float:
    """Return the smoothed rank of a figure in (0, 1).

    Args:
        below: number of smaller figures.
        equal: number of equal figures.
        total: number of all other figures.
        chance: a random number in [0, 1).
    """
    return (below + chance * (equal + 1)) / (total + 1)


def stability_index(known: ArrayLike, seen: ArrayLike) -> float:
    """Return the population stability index over tenths of the first: sum of (q - p) ln(q/p).

    By convention 0.1 is small and 0.25 large. Half a document is added to each band.
    """
    edges = np.quantile(np.asarray(known, float), np.linspace(0, 1, BANDS + 1)[1:-1])
    shares = []
    for values in (known, seen):
        counts = np.bincount(np.searchsorted(edges, np.asarray(values, float)), minlength=BANDS)
        shares.append((counts + 0.5) / (counts.sum() + 0.5 * BANDS))
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())
