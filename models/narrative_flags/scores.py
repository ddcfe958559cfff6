"""Write `scores.json` from the predictions: python -m models.narrative_flags.scores.

Intervals are of 2,000 draws of companies with replacement; differences are of the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.reliability import brief, compared, errors_of
from models.files import command, read_config, read_lines, write_json
from models.narrative_flags.__main__ import PREDICTIONS
from models.narrative_flags.corpus import FOLDER
from models.narrative_flags.learning import platt

DRAWS = 2_000
SEED = 7
WAYS = ("tfidf", "words")
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def area(positive: NDArray[np.bool_], scores: Floats) -> float:
    """Return the share of pairs of a positive and a negative that scores order right."""
    _, rank, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[rank]
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return float("nan")
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def precision(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    """Return the precision of flags; with exchanged arguments, the recall."""
    return float(positive[flagged].mean()) if flagged.any() else float("nan")


def draws(companies: Sequence[str]) -> list[Indices]:
    """Draw companies with replacement, and return their sentences; the same each time."""
    names = np.array(companies)
    members = [np.flatnonzero(names == name) for name in sorted(set(companies))]
    random = np.random.default_rng(SEED)
    chosen = random.integers(len(members), size=(DRAWS, len(members)))
    return [np.concatenate([members[i] for i in row]) for row in chosen]


def with_interval(
    of: Callable[[Indices], float], drawn: Sequence[Indices], size: int
) -> list[float]:
    """Return a figure with its 95% interval."""
    values = np.array([of(some) for some in drawn])
    low, high = np.nanquantile(values, (0.025, 0.975))
    return [round(float(v), 4) for v in (of(np.arange(size)), low, high)]


def unseen_chances(scores: Floats, positive: NDArray[np.bool_], folds: NDArray[np.int64]) -> Floats:
    """Return the probability of each sentence [N], by Platt's map of the other folds.

    Raises ValueError if all sentences are of one fold.
    """
    if len(np.unique(folds)) < 2:
        raise ValueError("all sentences are of one fold, so no map can be fitted")
    result = np.zeros(len(scores))
    for fold in np.unique(folds):
        here = folds == fold
        scale, shift = platt(scores[~here], positive[~here].astype(np.int64))
        result[here] = 1 / (1 + np.exp(-(scale * scores[here] + shift)))
    return result


def calibration(every: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return the calibration of all families together by each map, fitted on other folds.

    `none` takes the score as log odds; `Platt, by family` ships.
    """
    some = [sentence for sentence in every if sentence["family"] in names]
    score, right = (np.array([float(s[key]) for s in some]) for key in ("words", "positive"))
    family = np.array([list(names).index(sentence["family"]) for sentence in some])
    folds = np.array([sentence["fold"] for sentence in some])
    own = np.zeros(len(some))
    for number in range(len(names)):
        here = family == number
        own[here] = unseen_chances(score[here], right[here] > 0, folds[here])
    maps = compared(1 / (1 + np.exp(-score)), right, family, folds)
    ships = {"Platt, by family": brief(errors_of(own, right))}
    return {"sentences": len(some), "maps": {**ships, **maps}}


def family_scores(some: Sequence[Mapping[str, Any]], shown: float) -> dict[str, Any]:
    """The figures of one family."""

    def of(key: str) -> NDArray[Any]:
        return np.array([sentence[key] for sentence in some])

    positive, drawn, size = of("positive"), draws([s["company"] for s in some]), len(some)
    models = {model: of(model) for model in WAYS}
    chance = unseen_chances(models["words"], positive, of("fold"))
    marks = {"keyword": of("keyword"), "words": of("gated") & (chance >= shown)}
    result: dict[str, Any] = {
        "sentences": size,
        "companies": len({sentence["company"] for sentence in some}),
        "auc": {
            model: with_interval(lambda i, s=values: area(positive[i], s[i]), drawn, size)  # type: ignore[misc]
            for model, values in models.items()
        },
        "over_tfidf": _difference(positive, models["words"], models["tfidf"], drawn),
        "brier": round(float(((chance - positive) ** 2).mean()), 4),
        "calibration_error": errors_of(chance, positive.astype(float))["error"],
        "bins": bins(positive, chance),
    }
    result["precision"] = {
        model: with_interval(lambda i, m=mark: precision(positive[i], m[i]), drawn, size)  # type: ignore[misc]
        for model, mark in marks.items()
    }
    result["recall"] = {
        model: with_interval(lambda i, m=mark: precision(m[i], positive[i]), drawn, size)  # type: ignore[misc]
        for model, mark in marks.items()
    }
    return result


def _difference(
    positive: NDArray[np.bool_], better: Floats, other: Floats, drawn: Sequence[Indices]
) -> list[float]:
    def of(some: Indices) -> float:
        return area(positive[some], better[some]) - area(positive[some], other[some])

    return with_interval(of, drawn, len(positive))


def bins(positive: NDArray[np.bool_], chance: Floats) -> list[dict[str, float]]:
    """Return the share right in five bins of probability."""
    result = []
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        here = (chance >= low) & (chance < low + 0.2 + 1e-9 * (low == 0.8))
        if here.any():
            result.append(
                {
                    "from": low,
                    "sentences": int(here.sum()),
                    "said": round(float(chance[here].mean()), 3),
                    "right": round(float(positive[here].mean()), 3),
                }
            )
    return result


def main() -> None:
    """Read the command line, and write and print the figures."""
    command(__doc__).parse_args()
    shown = read_config(FOLDER)["shown"]
    (predictions,) = read_lines(FOLDER / PREDICTIONS)
    every = predictions["sentences"]
    families = {
        name: family_scores([s for s in every if s["family"] == name], least)
        for name, least in shown.items()
    }
    result = {
        "counts": predictions["counts"],
        "families": families,
        "calibration": calibration(every, list(shown)),
    }
    write_json(FOLDER / "scores.json", result)
    for name, figures in families.items():
        for kind in ("auc", "precision", "recall"):
            for model, (value, low, high) in figures[kind].items():
                print(f"{name:18}{kind:10}{model:8}{value:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
