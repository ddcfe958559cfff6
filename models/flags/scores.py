"""Figures from the predictions: python -m models.flags.scores writes and prints `scores.json`.

Intervals are of 2,000 draws of companies with replacement; differences are of the same draws.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.flags.__main__ import PREDICTIONS
from models.flags.learning import platt
from models.reliability import compared, judged

DRAWS = 2_000
SEED = 7
WAYS = ("tfidf", "words", "states", "both")
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def area(positive: NDArray[np.bool_], scores: Floats) -> float:
    """The share of pairs of a positive and a negative in which the positive scores higher."""
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return float("nan")
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def precision(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    """The share of what is flagged that is right."""
    return float(positive[flagged].mean()) if flagged.any() else float("nan")


def recall(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    """The share of what there is that is flagged."""
    return float(flagged[positive].mean()) if positive.any() else float("nan")


def draws(companies: Sequence[str]) -> list[Indices]:
    """Sentences of companies drawn with replacement, the same each time."""
    names = np.array(companies)
    members = [np.flatnonzero(names == name) for name in sorted(set(companies))]
    random = np.random.default_rng(SEED)
    chosen = random.integers(len(members), size=(DRAWS, len(members)))
    return [np.concatenate([members[i] for i in row]) for row in chosen]


def with_interval(
    of: Callable[[Indices], float], drawn: Sequence[Indices], size: int
) -> list[float]:
    """A figure, and its interval of 95%."""
    values = np.array([of(some) for some in drawn])
    low, high = np.nanquantile(values, (0.025, 0.975))
    return [round(float(v), 4) for v in (of(np.arange(size)), low, high)]


def unseen_chances(scores: Floats, positive: NDArray[np.bool_], folds: NDArray[np.int64]) -> Floats:
    """The chance of each sentence of a family [N], by Platt's map of the companies of other folds.

    Raises:
        ValueError: sentences of one fold alone, so that there are no others.
    """
    if len(np.unique(folds)) < 2:
        raise ValueError("the sentences are of one fold: no map can be fitted on others")
    found = np.zeros(len(scores))
    for fold in np.unique(folds):
        here = folds == fold
        scale, shift = platt(scores[~here], positive[~here].astype(np.int64))
        found[here] = 1 / (1 + np.exp(-(scale * scores[here] + shift)))
    return found


def calibration(every: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What chances of all families together are worth, by each map, fitted on other folds.

    `none` takes the score for log odds; `Platt, by family` is the map that ships, a family's own.
    """
    some = [one for one in every if one["family"] in names]
    score, right = (np.array([float(one[key]) for one in some]) for key in ("words", "positive"))
    family = np.array([list(names).index(one["family"]) for one in some])
    folds = np.array([one["fold"] for one in some])
    own = np.zeros(len(some))
    for number in range(len(names)):
        here = family == number
        own[here] = unseen_chances(score[here], right[here] > 0, folds[here])
    ships = judged(own, right)
    others = compared(1 / (1 + np.exp(-score)), right, family, folds)
    return {
        "sentences": len(some),
        "maps": {"Platt, by family": {key: ships[key] for key in ("error", "brier")}, **others},
    }


def family_scores(some: Sequence[Mapping[str, Any]], shown: float) -> dict[str, Any]:
    """The figures of one family."""
    positive = np.array([one["positive"] for one in some])
    drawn = draws([one["company"] for one in some])
    size = len(some)
    ways = {way: np.array([one[way] for one in some]) for way in WAYS if way in some[0]}
    chance = unseen_chances(ways["words"], positive, np.array([one["fold"] for one in some]))
    keyword, gate = (np.array([one[name] for one in some]) for name in ("keyword", "gated"))
    marks = {"keyword": keyword, "words": gate & (chance >= shown)}
    found: dict[str, Any] = {
        "sentences": size,
        "companies": len({one["company"] for one in some}),
        "auc": {
            way: with_interval(lambda i, s=said: area(positive[i], s[i]), drawn, size)  # type: ignore[misc]
            for way, said in ways.items()
        },
        "over_tfidf": _difference(positive, ways, "words", "tfidf", drawn),
        "brier": round(float(((chance - positive) ** 2).mean()), 4),
        "calibration_error": judged(chance, positive.astype(float))["error"],
        "bins": bins(positive, chance),
    }
    if "both" in ways:
        found["states_add"] = _difference(positive, ways, "both", "words", drawn)
    for name, figure in (("precision", precision), ("recall", recall)):
        found[name] = {
            way: with_interval(lambda i, f=figure, m=mark: f(positive[i], m[i]), drawn, size)  # type: ignore[misc]
            for way, mark in marks.items()
        }
    return found


def _difference(
    positive: NDArray[np.bool_],
    ways: Mapping[str, Floats],
    one: str,
    other: str,
    drawn: Sequence[Indices],
) -> list[float]:
    def of(some: Indices) -> float:
        return area(positive[some], ways[one][some]) - area(positive[some], ways[other][some])

    return with_interval(of, drawn, len(positive))


def bins(positive: NDArray[np.bool_], chance: Floats) -> list[dict[str, float]]:
    """How often what is said with a chance is right, in five bins."""
    found = []
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        here = (chance >= low) & (chance < low + 0.2 + 1e-9 * (low == 0.8))
        if here.any():
            found.append(
                {
                    "from": low,
                    "sentences": int(here.sum()),
                    "said": round(float(chance[here].mean()), 3),
                    "right": round(float(positive[here].mean()), 3),
                }
            )
    return found


def main() -> None:
    """Read the command line, and write and print the figures."""
    parser = argparse.ArgumentParser(description="Make figures of the predictions.")
    parser.add_argument("--specialist", type=Path, default=Path("models/narrative-flags"))
    folder = parser.parse_args().specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    kept = json.loads(gzip.decompress((folder / PREDICTIONS).read_bytes()))
    every = kept["sentences"]
    families = {
        name: family_scores([one for one in every if one["family"] == name], shown)
        for name, shown in config["shown"].items()
    }
    found = {
        "counts": kept["counts"],
        "families": families,
        "calibration": calibration(every, list(config["shown"])),
    }
    (folder / "scores.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, one in families.items():
        for kind in ("auc", "precision", "recall"):
            for way, (value, low, high) in one[kind].items():
                print(f"{name:18}{kind:10}{way:8}{value:.3f} ({low:.3f} to {high:.3f})")
        print(
            f"{name:18}calibration error {one['calibration_error']:.3f}, Brier {one['brier']:.3f}"
        )
        for kind in ("over_tfidf", "states_add"):
            if kind in one:
                print(f"{name:18}{kind:18}{one[kind]}")
    for name, one in found["calibration"]["maps"].items():
        print(f"{name:24}error {one['error']:.3f}, Brier {one['brier']:.4f}")


if __name__ == "__main__":
    main()
