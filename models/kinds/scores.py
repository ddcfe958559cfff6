"""Figures from the predictions: python -m models.kinds.scores writes and prints `scores.json`.

Intervals are of 2,000 draws of groups (families, companies, books, sorts of papers) with
replacement; differences are of the same draws.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibrations import MAPS
from models.kinds.corpus import DEVELOPMENT, KINDS
from models.reliability import compared, judged, mapped

RESAMPLES = 2_000
SEED = 7
Records = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]


def said(records: Records, way: str, form: str) -> Floats:
    """Return what a way says of a form of documents [documents, kinds]."""
    return np.array([record[way][form] for record in records])


def kinds_of(records: Records) -> NDArray[np.int64]:
    """Return the numbers of the documents' kinds."""
    return np.array([KINDS.index(record["kind"]) for record in records])


class Draws:
    """Groups of alike documents, drawn anew."""

    def __init__(self, records: Records) -> None:
        groups = [(record["kind"], record["group"]) for record in records]
        names = {name: i for i, name in enumerate(dict.fromkeys(groups))}
        self.group = np.array([names[name] for name in groups])
        self.kinds = kinds_of(records)
        draw = np.random.default_rng(SEED)
        self.times = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)

    def mean_recalls(self, right: NDArray[np.bool_]) -> Floats:
        """Return the mean of the kinds' recalls in each draw; kinds that it lacks do not count."""
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


def figures(records: Records, ways: Sequence[str], form: str) -> dict[str, Any]:
    """Return the figures of every way, and by how much the linear one is better."""
    draws, kinds = Draws(records), kinds_of(records)
    found: dict[str, Any] = {}
    rights = {way: said(records, way, form).argmax(1) == kinds for way in ways}
    for way, right in rights.items():
        called = said(records, way, form).argmax(1)
        found[way] = {
            "documents": len(records),
            "accuracy": float(right.mean()),
            "mean_recall": recall(right, kinds),
            "interval": _interval(draws.mean_recalls(right)),
            "recall": {k: _mean(right[kinds == i]) for i, k in enumerate(KINDS)},
            "precision": {k: _mean(right[called == i]) for i, k in enumerate(KINDS)},
        }
    best = draws.mean_recalls(rights["linear"])
    found["difference"] = {
        way: {
            "value": found["linear"]["mean_recall"] - found[way]["mean_recall"],
            "interval": _interval(best - draws.mean_recalls(right)),
        }
        for way, right in rights.items()
        if way != "linear"
    }
    return found


def _mean(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None


def _interval(values: Floats) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def thresholds(records: Records, wrong: Mapping[str, float]) -> dict[str, float]:
    """Return from which probability on each kind is taken without asking.

    The least one at which, over all forms of the development documents, no larger share of what
    is said to be of the kind is wrong.
    """
    some = [record for record in records if record["fold"] in DEVELOPMENT]
    forms = list(some[0]["linear"])
    every = np.concatenate([said(some, "linear", form) for form in forms])
    kinds = np.tile(kinds_of(some), len(forms))
    found = {}
    for number, kind in enumerate(KINDS):
        called = every.argmax(1) == number
        order = np.argsort(-every[called, number], kind="stable")
        chance, right = every[called, number][order], (kinds[called] == number)[order]
        share = np.cumsum(~right) / np.arange(1, len(right) + 1)
        good = np.flatnonzero(share <= wrong[kind])
        found[kind] = float(np.ceil(chance[good[-1]] * 1000) / 1000) if len(good) else 1.0
    return found


def asked(records: Records, form: str, sure: Mapping[str, float]) -> dict[str, int]:
    """Return how often a person is asked, and how often what is taken is wrong.

    Nothing is taken for `other` that has telling words. `alone` is how many contracts and reports
    would be put aside if that were no matter.
    """
    kinds, chance = kinds_of(records), said(records, "linear", form)
    called = chance.argmax(1)
    other = called == KINDS.index("other")
    alone = chance.max(1) >= np.array([sure[kind] for kind in KINDS])[called]
    told = np.array([record["telling"][form] >= sure["telling"] for record in records])
    taken = alone & ~(other & told)
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
    """Return of every form of every document [documents x forms]: the chance of its likeliest
    kind, whether it is of that kind, which kind that is, and the document's fold.
    """
    forms = list(records[0]["linear"])
    every = np.concatenate([said(records, "linear", form) for form in forms])
    called = every.argmax(1)
    right = called == np.tile(kinds_of(records), len(forms))
    folds = np.tile(np.array([record["fold"] for record in records]), len(forms))
    return every.max(1), right.astype(float), called, folds


def calibration(records: Records) -> dict[str, Any]:
    """Return what the chance of the likeliest kind is worth, and by which map it would be more.

    The maps of the development documents are each fitted on the other folds, those of the folds
    after on all development documents.
    """
    parts = {side: likeliest(some) for side, some in sides(records).items()}
    chance, right, called, folds = parts["development"]
    maps: dict[str, Any] = {"development": compared(chance, right, called, folds)}
    for side, (new, truth, of, _) in parts.items():
        if side == "development":
            continue
        figures = {name: judged(mapped(name, chance, right, called, new, of), truth)
                   for name in MAPS}  # fmt: skip
        maps[side] = {
            name: {key: one[key] for key in ("error", "brier")} for name, one in figures.items()
        }
    return {"sides": {side: judged(p[0], p[1]) for side, p in parts.items()}, "maps": maps}


def sides(records: Records) -> dict[str, Records]:
    """Return the documents that everything was chosen on, and those of each fold after."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda one: int(one["fold"])):
        fold = record["fold"]
        name = "development" if fold in DEVELOPMENT else f"fold {fold}"
        found.setdefault(name, []).append(record)
    return dict(found)


def scores(
    all_: Mapping[str, Any], few: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that the card shows.

    Args:
        all_: predictions of all documents, by type, keywords and the linear model.
        few: those of the head and of the linear model that learned from the same documents.
        settings: the section `[sure]` of the config.
    """
    records = all_["documents"]
    sure = {**thresholds(records, settings["wrong"]), **settings["least"]}
    result: dict[str, Any] = {"tried": all_["tried"], "thresholds": sure, "met": all_["met"]}
    result["calibration"] = calibration(records)
    for part in ("figures", "asked", "corpora", "head"):
        result[part] = {}
    for side, some in sides(records).items():
        forms = list(some[0]["linear"])
        ways = ("type", "rules", "linear")
        result["figures"][side] = {form: figures(some, ways, form) for form in forms}
        result["asked"][side] = {form: asked(some, form, sure) for form in forms}
        names = sorted({f"{record['kind']}: {record['source']}" for record in some})
        result["corpora"][side] = {
            name: asked([r for r in some if f"{r['kind']}: {r['source']}" == name], "whole", sure)
            for name in names
        }
    for side, some in sides(few["documents"]).items() if few else ():
        forms = list(some[0]["linear"])
        result["head"][side] = {f: figures(some, ("linear", "head"), f) for f in forms}
    return result


def read(path: Path) -> dict[str, Any] | None:
    """Return predictions, None if there are none."""
    return dict(json.loads(gzip.decompress(path.read_bytes()))) if path.exists() else None


def main() -> None:
    """Read the command line, and write and print the figures."""
    parser = argparse.ArgumentParser(description="Make figures of the predictions.")
    parser.add_argument("--specialist", type=Path, default=Path("models/document-kind"))
    folder = parser.parse_args().specialist
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    every, few = (read(folder / f"predictions{name}.json.gz") for name in ("", "-head"))
    if every is None:
        raise SystemExit("there are no predictions: run `python -m models.kinds` first")
    found = scores(every, few, config["sure"])
    (folder / "scores.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name in ("figures", "head"):
        for side, forms in found[name].items():
            for form, ways in forms.items():
                for way, one in ways.items():
                    if way != "difference":
                        low, high = one["interval"]
                        place = f"{side}, {form}, {way}, {one['documents']}"
                        print(f"{place:44}{one['mean_recall']:.4f} ({low:.4f} to {high:.4f})")
    for side, maps in found["calibration"]["maps"].items():
        for name, one in maps.items():
            print(f"{side}, {name:24}error {one['error']:.4f}, Brier {one['brier']:.4f}")
    for side, forms in found["asked"].items():
        for form, counts in forms.items():
            print(f"{side}, {form}: {counts}")


if __name__ == "__main__":
    main()
