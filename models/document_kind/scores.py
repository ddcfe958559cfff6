"""Write `scores.json` from the predictions: python -m models.document_kind.scores.

Intervals are of 2,000 draws of groups (families, companies, books, paper types) with replacement;
differences use the same draws.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.document_kind.corpus import DEVELOPMENT, KINDS
from models.evaluation.calibration import MAPS
from models.evaluation.reliability import brief, compared, errors_of, mapped
from models.files import command, folder_of, read_config, write_json

RESAMPLES = 2_000
SEED = 7
FOLDER = folder_of("document-kind")
WAYS = ("type", "rules", "linear")
Records = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]


def predictions_of(records: Records, model: str, form: str) -> Floats:
    """Return the predictions of one way for a form of documents [documents, kinds]."""
    return np.array([record[model][form] for record in records])


def kinds_of(records: Records) -> NDArray[np.int64]:
    """Return the numbers of the documents' kinds."""
    return np.array([KINDS.index(record["kind"]) for record in records])


class Draws:
    """Random draws of groups of similar documents."""

    def __init__(self, records: Records) -> None:
        groups = [(record["kind"], record["group"]) for record in records]
        names = {name: i for i, name in enumerate(dict.fromkeys(groups))}
        self.group = np.array([names[name] for name in groups])
        self.kinds = kinds_of(records)
        draw = np.random.default_rng(SEED)
        self.times = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)

    def mean_recalls(self, right: NDArray[np.bool_]) -> Floats:
        """Return the mean of the kinds' recalls in each draw, over the kinds that it has."""
        there = np.zeros((self.times.shape[1], len(KINDS)))
        hits = np.zeros_like(there)
        np.add.at(there, (self.group, self.kinds), 1)
        np.add.at(hits, (self.group, self.kinds), right)
        with np.errstate(invalid="ignore"):
            recalls = (self.times @ hits) / (self.times @ there)
        return np.nanmean(recalls, axis=1)


def recall(right: NDArray[np.bool_], kinds: NDArray[np.int64]) -> float:
    """Return the mean of the kinds' recalls."""
    return float(np.mean([right[kinds == kind].mean() for kind in np.unique(kinds)]))


def figures(records: Records, models: Sequence[str], form: str) -> dict[str, Any]:
    """Return the figures of every way, and the gain of the linear one."""
    draws, kinds = Draws(records), kinds_of(records)
    result: dict[str, Any] = {}
    rights = {model: predictions_of(records, model, form).argmax(1) == kinds for model in models}
    for model, right in rights.items():
        called = predictions_of(records, model, form).argmax(1)
        result[model] = {
            "documents": len(records),
            "accuracy": float(right.mean()),
            "mean_recall": recall(right, kinds),
            "interval": _interval(draws.mean_recalls(right)),
            "recall": {k: _mean(right[kinds == i]) for i, k in enumerate(KINDS)},
            "precision": {k: _mean(right[called == i]) for i, k in enumerate(KINDS)},
        }
    best = draws.mean_recalls(rights["linear"])
    result["difference"] = {
        model: {
            "value": result["linear"]["mean_recall"] - result[model]["mean_recall"],
            "interval": _interval(best - draws.mean_recalls(right)),
        }
        for model, right in rights.items()
        if model != "linear"
    }
    return result


def _mean(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None


def _interval(values: Floats) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def thresholds(records: Records, wrong: Mapping[str, float]) -> dict[str, float]:
    """Return the probability from which each kind is accepted without asking.

    It is the least one with at most the stated share of errors over all forms of the development
    documents.
    """
    some = [record for record in records if record["fold"] in DEVELOPMENT]
    forms = list(some[0]["linear"])
    every = np.concatenate([predictions_of(some, "linear", form) for form in forms])
    kinds = np.tile(kinds_of(some), len(forms))
    result = {}
    for number, kind in enumerate(KINDS):
        called = every.argmax(1) == number
        order = np.argsort(-every[called, number], kind="stable")
        chance, right = every[called, number][order], (kinds[called] == number)[order]
        share = np.cumsum(~right) / np.arange(1, len(right) + 1)
        good = np.flatnonzero(share <= wrong[kind])
        result[kind] = float(np.ceil(chance[good[-1]] * 1000) / 1000) if len(good) else 1.0
    return result


def decisions(records: Records, form: str, sure: Mapping[str, float]) -> dict[str, int]:
    """Return how often a person is asked, and how often an accepted kind is wrong.

    Texts with typical words are never accepted as `other`. `alone` counts the contracts and reports
    that would be rejected without this rule.
    """
    kinds, chance = kinds_of(records), predictions_of(records, "linear", form)
    called = chance.argmax(1)
    other = called == KINDS.index("other")
    alone = chance.max(1) >= np.array([sure[kind] for kind in KINDS])[called]
    typical = np.array([record["telling"][form] >= sure["telling"] for record in records])
    taken = alone & ~(other & typical)
    wrong = taken & (called != kinds)
    return {
        "documents": len(records),
        "right": int((called == kinds).sum()),
        "asked": int((~taken).sum()),
        "wrong": int(wrong.sum()),
        "rejected": int((wrong & other).sum()),
        "alone": int((alone & other & (kinds != KINDS.index("other"))).sum()),
    }


def likeliest(records: Records) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return the likeliest kind's probability, whether it is right, the kind and the document's
    fold, each [documents x forms].
    """
    forms = list(records[0]["linear"])
    every = np.concatenate([predictions_of(records, "linear", form) for form in forms])
    called = every.argmax(1)
    right = called == np.tile(kinds_of(records), len(forms))
    folds = np.tile(np.array([record["fold"] for record in records]), len(forms))
    return every.max(1), right.astype(float), called, folds


def calibration(records: Records) -> dict[str, Any]:
    """Return the calibration of the likeliest kind's probability, and of maps from it.

    Maps of development documents are fitted on the other folds, those of later folds on all
    development documents.
    """
    parts = {side: likeliest(some) for side, some in sides(records).items()}
    chance, right, called, folds = parts["development"]
    maps: dict[str, Any] = {"development": compared(chance, right, called, folds)}
    for side, (new, truth, of, _) in parts.items():
        if side != "development":
            maps[side] = {
                name: brief(errors_of(mapped(name, chance, right, called, new, of), truth))
                for name in MAPS
            }
    return {"sides": {side: errors_of(p[0], p[1]) for side, p in parts.items()}, "maps": maps}


def sides(records: Records) -> dict[str, Records]:
    """Return the development documents, and those of each later fold."""
    result: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda entry: int(entry["fold"])):
        fold = record["fold"]
        name = "development" if fold in DEVELOPMENT else f"fold {fold}"
        result.setdefault(name, []).append(record)
    return dict(result)


def scores(all_: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures of the card; `settings` is the section `[sure]` of the config."""
    records = all_["documents"]
    sure = {**thresholds(records, settings["wrong"]), **settings["least"]}
    result: dict[str, Any] = {"tried": all_["tried"], "thresholds": sure, "met": all_["met"]}
    result["calibration"] = calibration(records)
    for part in ("figures", "asked", "corpora"):
        result[part] = {}
    for side, some in sides(records).items():
        forms = list(some[0]["linear"])
        result["figures"][side] = {form: figures(some, WAYS, form) for form in forms}
        result["asked"][side] = {form: decisions(some, form, sure) for form in forms}
        corpora: dict[str, list[Mapping[str, Any]]] = {}
        for record in some:
            corpora.setdefault(f"{record['kind']}: {record['source']}", []).append(record)
        result["corpora"][side] = {
            name: decisions(corpus, "whole", sure) for name, corpus in sorted(corpora.items())
        }
    return result


def read(path: Path) -> dict[str, Any] | None:
    """Return predictions, None if there are none."""
    return dict(json.loads(gzip.decompress(path.read_bytes()))) if path.exists() else None


def main() -> None:
    """Read the command line, and write and print the figures."""
    command(__doc__).parse_args()
    every = read(FOLDER / "predictions.json.gz")
    if every is None:
        raise SystemExit("there are no predictions: run `python -m models.document_kind` first")
    result = scores(every, read_config(FOLDER)["sure"])
    write_json(FOLDER / "scores.json", result)
    for side, forms in result["figures"].items():
        for form, models in forms.items():
            recalls = {name: f"{models[name]['mean_recall']:.4f}" for name in WAYS}
            print(f"{side}, {form}: {recalls}, {result['asked'][side][form]}")


if __name__ == "__main__":
    main()
