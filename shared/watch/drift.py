"""Are the documents that come in like those that were known, and like those before them?

Of each document a few figures are kept. If it is like those before it and those of a reference set,
where there is one, the rank of a figure among all of them is uniform, and independent of earlier
ranks (a smoothed conformal p-value); so capital that is bet on ranks at either end does not grow,
and by Ville's inequality reaches 1 / c with probability c at most. No label and no person is needed
for it.

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

from shared.watch.evidence import staked, unstaked

FALSE_ALARMS = 0.05
"""The chance that documents which are alike are ever said to have changed."""

POWERS = np.array([0.3, 0.5, 0.7])
"""The density of a bet on the rank p is e p ** (e - 1), and the same of 1 - p."""

NOTHING = (-math.inf,) * 2 * len(POWERS)
"""The capital of each bet before the first document."""

CHECKED = 0.2
"""The share of what could be accepted that people check at the least, once documents changed."""

BANDS = 10
"""Of the stability index."""


@dataclass(frozen=True)
class Drift:
    """What speaks for a change: by figure the logarithms of the capital of each bet, and counts."""

    documents: Mapping[str, int]
    capital: Mapping[str, Sequence[float]]
    crossed: Sequence[str] = ()
    """Figures that would have been noticed alone, when a change was or since."""

    @classmethod
    def none(cls, names: Iterable[str]) -> Self:
        """Before the first document, of which figures of these names are kept."""
        figures = tuple(names)
        return cls(dict.fromkeys(figures, 0), dict.fromkeys(figures, NOTHING))

    def after(self, ranks: Mapping[str, float]) -> Self:
        """After one more document, with the rank of each of its figures, inside (0, 1)."""
        documents, capital = dict(self.documents), dict(self.capital)
        for name, rank in ranks.items():
            ends = np.log(np.clip([rank, 1.0 - rank], 1e-12, 1.0))
            bets = (np.log(POWERS)[None] + (POWERS - 1.0)[None] * ends[:, None]).ravel()
            documents[name] = documents.get(name, 0) + 1
            before = capital.get(name, NOTHING)
            capital[name] = tuple(staked(before, bets, documents[name]).tolist())
        return replace(self, documents=documents, capital=capital)

    def without(self, names: Iterable[str]) -> Self:
        """With some figures before their first document again."""
        new = type(self).none(name for name in names if name in self.documents)
        documents = {**self.documents, **new.documents}
        return replace(self, documents=documents, capital={**self.capital, **new.capital})

    @property
    def doubt(self) -> float:
        """The logarithm of all capital: the mean over figures and bets."""
        parts = [self._doubt_of(name) for name in self.documents]
        return float(np.logaddexp.reduce(parts) - math.log(len(parts))) if parts else 0.0

    def _doubt_of(self, name: str) -> float:
        """The logarithm of the capital of one figure: the mean over its bets."""
        staked_now = np.logaddexp.reduce(np.array(self.capital[name])) - math.log(2 * len(POWERS))
        return float(np.logaddexp(staked_now, math.log(unstaked(self.documents[name]))))

    @property
    def crossing(self) -> tuple[str, ...]:
        """Figures that would be noticed if they were alone."""
        return tuple(n for n in self.documents if self._doubt_of(n) >= -math.log(FALSE_ALARMS))

    @property
    def noticed(self) -> bool:
        """Whether documents are said to have changed."""
        return self.doubt >= -math.log(FALSE_ALARMS)

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept."""
        return cls(kept["documents"], kept["capital"], tuple(kept.get("crossed", ())))


def rank_of(below: int, same: int, others: int, chance: float) -> float:
    """Return the smoothed rank of a figure, inside (0, 1).

    Args:
        below: of the others, those that are less.
        same: those that are equal.
        others: all of them.
        chance: a number from 0 to below 1, drawn for this document.
    """
    return (below + chance * (same + 1)) / (others + 1)


def stability_index(known: ArrayLike, seen: ArrayLike) -> float:
    """Return how far two distributions are apart, over tenths of the first: sum of (q - p) ln(q/p).

    By custom 0.1 is little and 0.25 much. Half a document is added to each band.
    """
    edges = np.quantile(np.asarray(known, float), np.linspace(0, 1, BANDS + 1)[1:-1])
    shares = []
    for values in (known, seen):
        counts = np.bincount(np.searchsorted(edges, np.asarray(values, float)), minlength=BANDS)
        shares.append((counts + 0.5) / (counts.sum() + 0.5 * BANDS))
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())
