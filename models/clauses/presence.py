"""Learn the probability that a contract has a category, from the ranking of its candidates.

    python -m models.clauses.presence models/clauses/contract-clauses

`models.clauses.ranking` calls this with rankings of contracts that they were not trained on, and
stores the probabilities (`presence-predictions.json.gz`: ids and numbers, no text). As a program it
compares calibration maps across folds and writes `presence-calibration.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from models.evaluation.calibration import MAPS
from models.evaluation.evaluate import expected_error
from models.evaluation.reliability import EDGE, cross_fitted, errors_of
from models.files import command, read_lines, write_json, write_lines
from models.forest import Booster, Floats, fit_forest, predict

Flags = NDArray[np.bool_]
THRESHOLD = 0.5
PREDICTIONS = "presence-predictions.json.gz"
CALIBRATION = "presence-calibration.json"
DIGITS = 5  # of the stored probabilities
UNLIKE = 0.01  # share of the contracts that get a warning


@dataclass(frozen=True)
class Evidence:
    """The features of every label in one contract."""

    fold: int
    rows: Floats  # [labels, columns]
    present: Flags  # [labels]


@dataclass(frozen=True)
class Chances:
    """Probabilities that contracts have the labels, by fits that have not seen them."""

    ids: tuple[str, ...]  # [contracts]
    families: tuple[str, ...]  # [contracts], of companies
    folds: NDArray[np.int64]  # [contracts]
    chances: Floats  # [contracts, labels]
    present: Flags  # [contracts, labels]


def learn(contracts: Sequence[Evidence], settings: Mapping[str, Any]) -> list[Booster]:
    """Fit the probability that a contract has a label."""
    rows = np.concatenate([contract.rows for contract in contracts])
    present = np.concatenate([contract.present for contract in contracts])
    return fit_forest(rows, present, {**settings, "seed": 0})


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

    `familiar`: all but a share UNLIKE of the contracts exceed this expected number of labels.

    Args:
        probabilities: [contracts, labels].
        present: the truth [contracts, labels].
    """
    return {
        "contracts": len(present),
        "pooled": one_figure(probabilities.reshape(-1), present.reshape(-1)),
        "calibration_error": expected_error(probabilities.reshape(-1), present.reshape(-1)),
        "familiar": float(np.quantile(probabilities.sum(1), UNLIKE)),
        "labels": {
            name: one_figure(probabilities[:, i], present[:, i]) for i, name in enumerate(labels)
        },
    }


def one_figure(probability: Floats, present: Flags) -> dict[str, Any]:
    """Return the figures of one label; some need contracts with it and without it."""
    predicted = probability > THRESHOLD
    right = int((predicted & present).sum())
    result: dict[str, Any] = {"present": int(present.sum()), "said": int(predicted.sum())}
    if 0 < present.sum() < len(present):
        result["auc"] = float(roc_auc_score(present, probability))
    if predicted.any():
        result["precision"] = right / int(predicted.sum())
    if present.any():
        result["recall"] = right / int(present.sum())
    return result


def write_chances(folder: Path, result: Chances, labels: Sequence[str]) -> None:
    """Write probabilities beside the config of a specialist, without text of a contract."""
    contracts = [
        {
            "id": name,
            "family": result.families[i],
            "fold": int(result.folds[i]),
            "chances": [round(float(chance), DIGITS) for chance in result.chances[i]],
            "present": np.flatnonzero(result.present[i]).tolist(),
        }
        for i, name in enumerate(result.ids)
    ]
    write_lines(folder / PREDICTIONS, [{"labels": list(labels), "contracts": contracts}])


def read_chances(folder: Path) -> tuple[Chances, list[str]]:
    """Read the probabilities beside the config of a specialist, and their labels."""
    (record,) = read_lines(folder / PREDICTIONS)
    contracts, labels = record["contracts"], record["labels"]
    present = np.zeros((len(contracts), len(labels)), bool)
    for row, contract in zip(present, contracts, strict=True):
        row[contract["present"]] = True
    ids, families, folds, chances = (
        [contract[key] for contract in contracts] for key in ("id", "family", "fold", "chances")
    )
    result = Chances(
        tuple(ids), tuple(families), np.array(folds), np.array(chances, np.float32), present
    )
    return result, labels


def calibration(result: Chances) -> dict[str, Any]:
    """Return the reliability of the probabilities, and of maps from other folds."""
    contracts, labels = result.present.shape
    chance = result.chances.astype(np.float64).reshape(-1)
    right = result.present.astype(np.float64).reshape(-1)
    label = np.tile(np.arange(labels), contracts)
    fold = np.repeat(result.folds, labels)
    return {
        "contracts": contracts,
        "folds": len(np.unique(result.folds)),
        "auc": round(float(roc_auc_score(right, chance)), 4),
        **errors_of(chance, right),
        "maps": {
            name: errors(cross_fitted(name, chance, right, label, fold), right) for name in MAPS
        },
    }


def errors(chance: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, float]:
    """Return expected calibration error, Brier score and log loss (natural logarithm)."""
    figures = errors_of(chance, right)
    loss = log_loss(right, chance.clip(EDGE, 1 - EDGE))
    return {"error": figures["error"], "brier": figures["brier"], "log_loss": round(loss, 4)}


def main() -> None:
    """Read the command line, compare maps, and write the result."""
    parser = command(__doc__, "specialist")
    folder = parser.parse_args().specialist
    result, _ = read_chances(folder)
    print(write_json(folder / CALIBRATION, calibration(result)), end="")


if __name__ == "__main__":
    main()
