"""Compute how often lines of unseen companies are named right, and the calibration.

Everything is counted on pairs (models/line_concepts/predict.py). Intervals draw companies. The
confidence is Platt's map (1999) of the probability; its error is measured on other companies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.calibration import fit_logistic, reliability, straight
from models.evaluation.intervals import share_interval
from models.evaluation.reliability import compared
from models.triage_breaks.filings import fold_of
from services.triage.concepts.ensemble import combine
from services.triage.concepts.linear import LEAST, MOST, OWN

Floats = NDArray[np.float64]
Record = Mapping[str, Any]
Guess = Callable[[Record], str | None]

SAYS: Guess = lambda record: str(record["said"][0][0])  # noqa: E731
WAYS: Mapping[str, Guess] = {"linear model": SAYS, "exact lookup": lambda record: record["lookup"]}
BESIDE: Mapping[str, Guess] = {
    "linear model": lambda record: str(record["alone"][0][0][0]),
    "adapter": lambda record: str(record["alone"][1][0][0]),
    "both": SAYS,
}
LINEAR, ADAPTER, BOTH = BESIDE
SCORES = "scores.json"
DRAWS = 1000

RELIABLE = (0.9, 0.95, 0.98)
"""Shares of right names for which the needed confidence is computed."""


def parts(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the pairs by group, for separate figures."""
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
    """Return the 95% interval of the share right, or of the gain over another model."""
    if not records:
        return 0.0, 0.0
    met = Counter(record["company"] for record in records)
    right: Counter[int] = Counter()
    for record in records:
        right[record["company"]] += guess(record) == record["concept"]
        right[record["company"]] -= bool(other and other(record) == record["concept"])
    low, high = share_interval(right, met, sorted(met), DRAWS)
    return round(low, 4), round(high, 4)


def share_right(records: Sequence[Record], guess: Guess) -> float:
    """Return the share of pairs that are named right."""
    right = sum(guess(r) == r["concept"] for r in records)
    return round(right / max(len(records), 1), 4)


def chances(records: Sequence[Record]) -> tuple[Floats, Floats]:
    """Return the probability of the likeliest label [N], and whether it is right [N]."""
    probability = np.array([r["said"][0][1] for r in records], np.float64)
    right = np.array([r["said"][0][0] == r["concept"] for r in records], np.float64)
    return probability.clip(LEAST, MOST), right


def fit_confidence(records: Sequence[Record]) -> Floats:
    """Return offset and slope [2] of Platt's map on the log odds."""
    probability, right = chances(records)
    return fit_logistic(straight(probability), right, np.array([0.0, 1.0]), 1e-3)


def confidence(probability: Floats, weights: Floats) -> Floats:
    """Map probabilities [N] to confidences [N]."""
    mapped: Floats = 1 / (1 + np.exp(-(straight(probability) @ weights)))
    return mapped


def unseen_confidence(records: Sequence[Record]) -> Floats:
    """Return the confidence of each pair [N], by a map of the other half of the companies."""
    half = np.array([hash_of(r["company"]) for r in records])
    result = np.zeros(len(records))
    for side in (0, 1):
        fitted_on = [r for r, h in zip(records, half, strict=True) if h != side]
        probability, _ = chances([r for r, h in zip(records, half, strict=True) if h == side])
        result[half == side] = confidence(probability, fit_confidence(fitted_on))
    return result


def maps(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Return the errors of every map, fitted on the other half of the companies."""
    probability, right = chances(records)
    kinds = sorted({r["statement"] for r in records})
    label = np.array([kinds.index(r["statement"]) for r in records])
    half = np.array([hash_of(r["company"]) for r in records])
    return compared(probability, right, label, half)


def hash_of(company: int) -> int:
    """Return the half that a company is in."""
    return company // 7 % 2


def rounded_reliability(confident: Floats, right: Floats) -> list[tuple[float, float, int]]:
    """Return mean confidence, share right and count of each tenth that is not empty."""
    return [(round(b, 3), round(r, 3), n) for n, b, r in reliability(confident, right)]


def calibration_error(confident: Floats, right: Floats) -> float:
    """Return the expected calibration error over tenths (Guo et al., 2017)."""
    rows = rounded_reliability(confident, right)
    total = sum(count for *_, count in rows)
    return round(sum(abs(mean - share) * count for mean, share, count in rows) / total, 4)


def named_surely(confident: Floats, right: Floats, share: float) -> tuple[float, float] | None:
    """Return the confidence from which this share is right, and the share of pairs above it."""
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
    """Return all figures of the card; the adapter may have predicted only some of the pairs."""
    return {
        "folds": list(folds),
        "pairs": len(records),
        "companies": len({r["company"] for r in records}),
        "parts": {name: of_part(some, WAYS) for name, some in parts(records).items()},
        **of_confidence(records),
        "confusions": [[*pair, count] for pair, count in _confusions(records).most_common(12)],
        "adapter": comparison(records, adapter),
    }


def of_confidence(records: Sequence[Record]) -> dict[str, Any]:
    """Return the calibration of some predictions, and precision and recall of `own`."""
    confident, (probability, right) = unseen_confidence(records), chances(records)
    own = [r for r in records if r["concept"] == OWN]
    predicted_own = [r for r in records if SAYS(r) == OWN]
    offset, slope = fit_confidence(records)
    return {
        "own": {"precision": share_right(predicted_own, SAYS), "recall": share_right(own, SAYS)},
        "calibration": {"offset": round(float(offset), 5), "slope": round(float(slope), 5)},
        "error before": calibration_error(probability, right),
        "error": calibration_error(confident, right),
        "reliability": rounded_reliability(confident, right),
        "maps": maps(records),
        "surely": {f"{share:.0%}": named_surely(confident, right, share) for share in RELIABLE},
    }


def of_part(some: Sequence[Record], models: Mapping[str, Guess]) -> dict[str, Any]:
    """Return the share of some pairs that each model names right."""
    return {
        "pairs": len(some),
        "top three": round(sum(_within(r, 3) for r in some) / max(len(some), 1), 4),
        **{
            model: {"right": share_right(some, guess), "interval": interval(some, guess)}
            for model, guess in models.items()
        },
    }


def comparison(records: Sequence[Record], adapter: Sequence[Record]) -> dict[str, Any] | None:
    """Return the figures of the linear model, the adapter and both together on the same pairs.

    The combination has no fitted parameter; only the confidence map is fitted.
    """
    if not adapter:
        return None
    predictions = {key(record): record["said"] for record in adapter}
    mixed = [
        {
            **r,
            "said": combine(r["said"], predictions[key(r)]),
            "alone": [r["said"], predictions[key(r)]],
        }
        for r in records
        if key(r) in predictions
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
    """Return whether both together are significantly better than the linear model, so both ship."""
    result = figures["adapter"]
    return bool(result and result["more"]["both than linear"][0] > 0)


def key(record: Record) -> tuple[str, str, int, str]:
    """Return the pair of a prediction."""
    return record["filing"], record["statement"], record["line"], record["concept"]


def _within(record: Record, many: int) -> bool:
    return record["concept"] in [name for name, _ in record["said"][:many]]


def _confusions(records: Sequence[Record]) -> Counter[tuple[str, str]]:
    return Counter(
        (r["concept"], r["said"][0][0]) for r in records if r["concept"] != r["said"][0][0]
    )
