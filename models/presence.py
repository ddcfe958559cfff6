"""Learn whether a contract has a category at all, from how its candidates were ranked.

    python -m models.presence models/contract-clauses

`models.ranking` calls this with what each fold's ranking says of contracts that it had not learned
from; the chances it keeps (`presence-predictions.json.gz`: ids and chances, no text) are of
contracts that neither ranking nor this had learned from. As a program it compares maps of them,
each fitted on other folds than it is judged on, and writes `presence-calibration.json`, for the
card.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from models.calibrations import MAPS
from models.forest import Booster, Floats, fit, predict
from models.reliability import EDGE, cross_fitted, judged

Flags = NDArray[np.bool_]
THRESHOLD = 0.5
BINS = 10
PREDICTIONS = "presence-predictions.json.gz"
CALIBRATION = "presence-calibration.json"
DIGITS = 5  # of the chances that are kept
UNLIKE = 0.01  # share of the contracts that are warned of as unlike the others


@dataclass(frozen=True)
class Evidence:
    """What is known of every label in one contract."""

    fold: int
    rows: Floats  # [labels, columns]
    present: Flags  # [labels]


@dataclass(frozen=True)
class Chances:
    """How likely contracts have the labels, by fits that had not seen them."""

    ids: tuple[str, ...]  # [contracts]
    families: tuple[str, ...]  # [contracts], of companies
    folds: NDArray[np.int64]  # [contracts]
    chances: Floats  # [contracts, labels]
    present: Flags  # [contracts, labels]


def learn(contracts: Sequence[Evidence], settings: Mapping[str, Any]) -> list[Booster]:
    """Fit the probability that a label is there."""
    rows = np.concatenate([contract.rows for contract in contracts])
    present = np.concatenate([contract.present for contract in contracts])
    weights, seeds = np.ones(len(rows)), range(settings["seeds"])
    return [fit(rows, present, weights, settings["trees"], settings, seed) for seed in seeds]


def out_of_fold(contracts: Sequence[Evidence], settings: Mapping[str, Any]) -> Floats:
    """Return probabilities [contracts, labels], each by a fit without the contract's fold."""
    result = np.zeros((len(contracts), len(contracts[0].present)), np.float32)
    for fold in {contract.fold for contract in contracts}:
        fits = learn([c for c in contracts if c.fold != fold], settings)
        for i, contract in enumerate(contracts):
            if contract.fold == fold:
                result[i] = predict(fits, contract.rows)
    return result


def figures(probabilities: Floats, present: Flags, labels: Sequence[str]) -> dict[str, Any]:
    """Return area under the ROC curve, precision and recall, pooled and by label.

    `familiar` is how many labels are expected in all contracts but the UNLIKE ones that have least.

    Args:
        probabilities: [contracts, labels].
        present: the truth [contracts, labels].
        labels: their names.
    """
    return {
        "contracts": len(present),
        "pooled": one_figure(probabilities.reshape(-1), present.reshape(-1)),
        "calibration_error": calibration_error(probabilities.reshape(-1), present.reshape(-1)),
        "familiar": float(np.quantile(probabilities.sum(1), UNLIKE)),
        "labels": {
            name: one_figure(probabilities[:, i], present[:, i]) for i, name in enumerate(labels)
        },
    }


def one_figure(probability: Floats, present: Flags) -> dict[str, Any]:
    """Return the figures of one label; those that need both answers are left out without them."""
    said = probability > THRESHOLD
    right = int((said & present).sum())
    result: dict[str, Any] = {"present": int(present.sum()), "said": int(said.sum())}
    if 0 < present.sum() < len(present):
        result["auc"] = float(roc_auc_score(present, probability))
    if said.any():
        result["precision"] = right / int(said.sum())
    if present.any():
        result["recall"] = right / int(present.sum())
    return result


def calibration_error(probability: Floats, present: Flags) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al., 2017)."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(probability[place == b].mean()) - float(present[place == b].mean()))
        * float((place == b).mean())
        for b in np.unique(place)
    ]
    return float(sum(gaps))


# --- what is kept, and what its maps are worth --------------------------------------------------


def keep(folder: Path, found: Chances, labels: Sequence[str]) -> None:
    """Write chances beside the config of a specialist: one file, no text of a contract."""
    rows = zip(found.ids, found.families, found.folds, found.chances, found.present, strict=True)
    contracts = [
        {
            "id": name,
            "family": family,
            "fold": int(fold),
            "chances": [round(float(chance), DIGITS) for chance in chances],
            "present": np.flatnonzero(present).tolist(),
        }
        for name, family, fold, chances, present in rows
    ]
    said = json.dumps({"labels": list(labels), "contracts": contracts}, separators=(",", ":"))
    with (folder / PREDICTIONS).open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(said.encode() + b"\n")


def kept(folder: Path) -> tuple[Chances, list[str]]:
    """Read the chances beside the config of a specialist, and the labels they are of."""
    with gzip.open(folder / PREDICTIONS, "rt", encoding="utf-8") as file:
        said = json.load(file)
    contracts, labels = said["contracts"], said["labels"]
    present = np.zeros((len(contracts), len(labels)), bool)
    for row, one in zip(present, contracts, strict=True):
        row[one["present"]] = True
    return (
        Chances(
            tuple(one["id"] for one in contracts),
            tuple(one["family"] for one in contracts),
            np.array([one["fold"] for one in contracts]),
            np.array([one["chances"] for one in contracts], np.float32),
            present,
        ),
        labels,
    )


def calibration(found: Chances) -> dict[str, Any]:
    """Return how reliable chances are as they are said, and by maps fitted on other folds."""
    contracts, labels = found.present.shape
    chance = found.chances.astype(np.float64).reshape(-1)
    right = found.present.astype(np.float64).reshape(-1)
    label = np.tile(np.arange(labels), contracts)
    fold = np.repeat(found.folds, labels)
    return {
        "contracts": contracts,
        "folds": len(np.unique(found.folds)),
        "auc": round(float(roc_auc_score(right, chance)), 4),
        **judged(chance, right),
        "maps": {
            name: errors(cross_fitted(name, chance, right, label, fold), right) for name in MAPS
        },
    }


def errors(chance: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, float]:
    """Return expected calibration error, Brier score and log loss (natural logarithm)."""
    figures = judged(chance, right)
    loss = log_loss(right, chance.clip(EDGE, 1 - EDGE))
    return {"error": figures["error"], "brier": figures["brier"], "log_loss": round(loss, 4)}


def main() -> None:
    """Read the command line, compare maps, and write what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help=f"folder with {PREDICTIONS}")
    folder = parser.parse_args().specialist
    found, _ = kept(folder)
    text = json.dumps(calibration(found), indent=1) + "\n"
    (folder / CALIBRATION).write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
