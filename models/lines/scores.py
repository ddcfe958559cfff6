"""How often lines of unseen companies are named right, and what a confidence is worth.

Everything is counted on pairs (models/lines/predict.py). Intervals draw companies anew. The map
from chance to confidence is Platt's (1999); its error is measured on companies that it was not
fitted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibrations import fit_logistic, straight
from models.reliability import compared
from models.triage.filings import fold_of
from services.triage.naming import LEAST, MOST, OWN
from services.triage.together import together

Floats = NDArray[np.float64]
Record = Mapping[str, Any]
Guess = Callable[[Record], str | None]

SAYS: Guess = lambda record: str(record["said"][0][0])  # noqa: E731
WAYS: Mapping[str, Guess] = {
    "linear model": SAYS,
    "exact lookup": lambda record: record["lookup"],
}
BESIDE: Mapping[str, Guess] = {
    "linear model": lambda record: str(record["alone"][0][0][0]),
    "adapter": lambda record: str(record["alone"][1][0][0]),
    "both": SAYS,
}
LINEAR, ADAPTER, BOTH = BESIDE
SCORES = "scores.json"
"""The figures, as they are kept."""
DRAWS = 1000
BINS = 10
RELIABLE = (0.9, 0.95, 0.98)
"""Shares of right names for which it is said how many lines are named so surely."""


def parts(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The pairs that are counted apart."""
    unseen = [r for r in records if r["lookup"] is None]
    kinds = sorted({r["statement"] for r in records})
    return {
        "all": list(records),
        "with a common us-gaap concept": [r for r in records if r["concept"] != OWN],
        "label that another company has": [r for r in records if r["lookup"] is not None],
        "label that no other company has": unseen,
        "label that no other company has, common concept": [
            r for r in unseen if r["concept"] != OWN
        ],
        **{kind: [r for r in records if r["statement"] == kind] for kind in kinds},
    }


def interval(
    records: Sequence[Record], guess: Guess, other: Guess | None = None
) -> tuple[float, float]:
    """The 95% interval of the share that is right, or of how much more that is than another's."""
    if not records:
        return 0.0, 0.0
    companies = sorted({r["company"] for r in records})
    number = {company: i for i, company in enumerate(companies)}
    right, met = np.zeros(len(companies)), np.zeros(len(companies))
    for record in records:
        at = number[record["company"]]
        met[at] += 1
        right[at] += guess(record) == record["concept"]
        right[at] -= bool(other and other(record) == record["concept"])
    draws = np.random.default_rng(1).integers(len(companies), size=(DRAWS, len(companies)))
    shares = right[draws].sum(1) / met[draws].sum(1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def share_right(records: Sequence[Record], guess: Guess) -> float:
    """The share of pairs that is named right."""
    right = sum(guess(r) == r["concept"] for r in records)
    return round(right / max(len(records), 1), 4)


def chances(records: Sequence[Record]) -> tuple[Floats, Floats]:
    """How likely the likeliest label is said to be [N], and whether it is right [N]."""
    said = np.array([r["said"][0][1] for r in records], np.float64)
    right = np.array([r["said"][0][0] == r["concept"] for r in records], np.float64)
    return said.clip(LEAST, MOST), right


def fit_confidence(records: Sequence[Record]) -> Floats:
    """Offset and slope [2] of Platt's map on the log odds."""
    said, right = chances(records)
    return fit_logistic(straight(said), right, np.array([0.0, 1.0]), 1e-3)


def confidence(said: Floats, weights: Floats) -> Floats:
    """Map chances [N] to confidences [N]."""
    mapped: Floats = 1 / (1 + np.exp(-(straight(said) @ weights)))
    return mapped


def unseen_confidence(records: Sequence[Record]) -> Floats:
    """The confidence of each pair [N], by a map that was fitted on the other half of companies."""
    half = np.array([hash_of(r["company"]) for r in records])
    found = np.zeros(len(records))
    for side in (0, 1):
        others = [r for r, h in zip(records, half, strict=True) if h != side]
        said, _ = chances([r for r, h in zip(records, half, strict=True) if h == side])
        found[half == side] = confidence(said, fit_confidence(others))
    return found


def maps(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """The errors of every map, pooled or by statement, fitted on the other half of companies."""
    said, right = chances(records)
    kinds = sorted({r["statement"] for r in records})
    label = np.array([kinds.index(r["statement"]) for r in records])
    half = np.array([hash_of(r["company"]) for r in records])
    return compared(said, right, label, half)


def hash_of(company: int) -> int:
    """The half that a company is in."""
    return company // 7 % 2


def reliability(confident: Floats, right: Floats) -> list[tuple[float, float, int]]:
    """By tenth of confidence: the mean, the share right, how many; empty tenths are left out."""
    bins = np.minimum((confident * BINS).astype(int), BINS - 1)
    return [
        (
            round(float(confident[bins == b].mean()), 3),
            round(float(right[bins == b].mean()), 3),
            int((bins == b).sum()),
        )
        for b in range(BINS)
        if (bins == b).any()
    ]


def calibration_error(confident: Floats, right: Floats) -> float:
    """The expected calibration error over tenths (Guo et al., 2017)."""
    rows = reliability(confident, right)
    whole = sum(count for *_, count in rows)
    return round(sum(abs(mean - share) * count for mean, share, count in rows) / whole, 4)


def named_surely(confident: Floats, right: Floats, share: float) -> tuple[float, float] | None:
    """The confidence from which on so many names are right, and the share that has it."""
    order = np.argsort(-confident, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= share)
    if not len(enough):
        return None
    last = int(enough[-1])
    return round(float(confident[order[last]]), 3), round((last + 1) / len(order), 4)


def scores(
    records: Sequence[Record], adapter: Sequence[Record], folds: Sequence[int]
) -> dict[str, Any]:
    """All figures of the card.

    Args:
        records: predictions of the linear model and of lookup.
        adapter: those of the adapter, of some of these pairs or none.
        folds: of the companies that these are about.
    """
    return {
        "folds": list(folds),
        "pairs": len(records),
        "companies": len({r["company"] for r in records}),
        "parts": {name: of_part(some, WAYS) for name, some in parts(records).items()},
        **of_confidence(records),
        "confusions": [[*pair, count] for pair, count in _confusions(records).most_common(12)],
        "adapter": beside(records, adapter),
    }


def of_confidence(records: Sequence[Record]) -> dict[str, Any]:
    """What the confidences of some predictions are worth, and how well `own` is told."""
    confident, (said, right) = unseen_confidence(records), chances(records)
    own = [r for r in records if r["concept"] == OWN]
    said_own = [r for r in records if SAYS(r) == OWN]
    offset, slope = fit_confidence(records)
    return {
        "own": {"precision": share_right(said_own, SAYS), "recall": share_right(own, SAYS)},
        "calibration": {"offset": round(float(offset), 5), "slope": round(float(slope), 5)},
        "error before": calibration_error(said, right),
        "error": calibration_error(confident, right),
        "reliability": reliability(confident, right),
        "maps": maps(records),
        "surely": {f"{share:.0%}": named_surely(confident, right, share) for share in RELIABLE},
    }


def of_part(some: Sequence[Record], ways: Mapping[str, Guess]) -> dict[str, Any]:
    """How many of some pairs are named right in each way."""
    return {
        "pairs": len(some),
        "top three": round(sum(_within(r, 3) for r in some) / max(len(some), 1), 4),
        **{
            way: {"right": share_right(some, guess), "interval": interval(some, guess)}
            for way, guess in ways.items()
        },
    }


def beside(records: Sequence[Record], adapter: Sequence[Record]) -> dict[str, Any] | None:
    """The linear model, the adapter and both together on the same pairs; None without an adapter.

    Nothing of how the two are put together was fitted; the map to confidences was.
    """
    if not adapter:
        return None
    said = {key(record): record["said"] for record in adapter}
    mixed = [
        {**r, "said": together(r["said"], said[key(r)]), "alone": [r["said"], said[key(r)]]}
        for r in records
        if key(r) in said
    ]
    linear, read, both = BESIDE.values()
    return {
        "folds": sorted({fold_of(r["company"]) for r in mixed}),
        "companies": len({r["company"] for r in mixed}),
        "parts": {name: of_part(some, BESIDE) for name, some in parts(mixed).items()},
        "more": {
            "both than linear": interval(mixed, both, linear),
            "both than adapter": interval(mixed, both, read),
            "adapter than linear": interval(mixed, read, linear),
        },
        **of_confidence(mixed),
    }


def surely_better(figures: Mapping[str, Any]) -> bool:
    """Whether both together surely name more right than the linear model: then both ship."""
    found = figures["adapter"]
    return bool(found and found["more"]["both than linear"][0] > 0)


def key(record: Record) -> tuple[str, str, int, str]:
    """Which pair a prediction is about."""
    return record["filing"], record["statement"], record["line"], record["concept"]


def _within(record: Record, many: int) -> bool:
    return record["concept"] in [name for name, _ in record["said"][:many]]


def _confusions(records: Sequence[Record]) -> Counter[tuple[str, str]]:
    return Counter(
        (r["concept"], r["said"][0][0]) for r in records if r["concept"] != r["said"][0][0]
    )
