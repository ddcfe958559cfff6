"""Are the documents that come in like those that the specialist was calibrated on?

Of each document a few figures are kept. If it is like those before it and those of the calibration
set, the rank of a figure among all of them is uniform, and independent of earlier ranks (a smoothed
conformal p-value); so capital that is bet on ranks at either end does not grow, and by Ville's
inequality reaches 1 / c with probability c at most. No label and no person is needed for it.

Sources: Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003; Fedorova, Gammerman,
Nouretdinov, Vovk, "Plug-in martingales for testing exchangeability on-line", 2012; for the index,
Siddiqi, "Credit risk scorecards", 2006.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from services.extraction.guarantee import Calibration, log_odds
from services.extraction.watch.evidence import staked, unstaked
from shared.risk import Floats

FALSE_ALARMS = 0.05
"""The chance that documents which are alike are ever said to have changed."""

FIGURES = ("sureness", "mix", "size")
"""Of a document: the mean log-odds of the beliefs of its clauses, how usual their categories are
(mean logarithm of their shares in the calibration set), and the logarithm of how many there are.
"""

POWERS = np.array([0.3, 0.5, 0.7])
"""The density of a bet on the rank p is e p ** (e - 1), and the same of 1 - p."""

CHECKED = 0.2
"""The share of what could be accepted that people check at the least, once documents changed."""

BANDS = 10
"""Of the stability index."""


def figures(known: Calibration, clauses: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the figures of a document, from (category, confidence) of its clauses; none of one
    without clauses.
    """
    mine = [(known.labels.index(c), known.belief_of(c, s)) for c, s in clauses if c in known.labels]
    if not mine:
        return {}
    label, belief = np.array([one for one, _ in mine]), np.array([two for _, two in mine])
    return _figures(label, belief, _usual(known))


def reference(known: Calibration) -> dict[str, Floats]:
    """Return the figures of every contract of the calibration set, rising; none for a set that does
    not tell contracts apart.
    """
    if known.document is None:
        return {}
    usual = _usual(known)
    rows = [
        _figures(known.label[mine], known.belief[mine], usual)
        for document in np.unique(known.document)
        if (mine := known.document == document).any()
    ]
    return {name: np.sort(np.array([row[name] for row in rows])) for name in FIGURES}


def _usual(known: Calibration) -> Floats:
    counts = np.bincount(known.label, minlength=len(known.labels)) + 1.0
    result: Floats = np.log(counts / counts.sum())
    return result


def _figures(label: Any, belief: Floats, usual: Floats) -> dict[str, float]:
    inside = np.clip(belief, 1e-6, 1.0 - 1e-6)
    return {
        "sureness": float(log_odds(inside).mean()),
        "mix": float(usual[label].mean()),
        "size": math.log(len(label)),
    }


@dataclass(frozen=True)
class Drift:
    """What speaks for a change: by figure the logarithms of the capital of each bet, and counts."""

    documents: Mapping[str, int]
    capital: Mapping[str, Sequence[float]]

    @classmethod
    def none(cls) -> Self:
        """Before the first document."""
        return cls(
            dict.fromkeys(FIGURES, 0), dict.fromkeys(FIGURES, (-math.inf,) * 2 * len(POWERS))
        )

    def after(self, ranks: Mapping[str, float]) -> Self:
        """After one more document, with the rank of each of its figures, inside (0, 1)."""
        documents, capital = dict(self.documents), dict(self.capital)
        for name, rank in ranks.items():
            ends = np.log(np.clip([rank, 1.0 - rank], 1e-12, 1.0))
            bets = (np.log(POWERS)[None] + (POWERS - 1.0)[None] * ends[:, None]).ravel()
            documents[name] += 1
            capital[name] = tuple(staked(capital[name], bets, documents[name]).tolist())
        return type(self)(documents, capital)

    @property
    def doubt(self) -> float:
        """The logarithm of all capital: the mean over figures and bets."""
        parts = [
            np.logaddexp(
                np.logaddexp.reduce(np.array(self.capital[name])) - math.log(2 * len(POWERS)),
                math.log(unstaked(self.documents[name])),
            )
            for name in FIGURES
        ]
        return float(np.logaddexp.reduce(parts) - math.log(len(FIGURES)))

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
        return cls(kept["documents"], kept["capital"])


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
