"""Learn whether a contract has a category at all, from how its candidates were ranked.

`models.ranking` calls this with what each fold's ranking says of contracts that it had not learned
from; the figures are of contracts that neither ranking nor this had learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from models.forest import Booster, Floats, fit, predict

Flags = NDArray[np.bool_]
THRESHOLD = 0.5
BINS = 10
UNLIKE = 0.01  # share of the contracts that are warned of as unlike the others


@dataclass(frozen=True)
class Evidence:
    """What is known of every label in one contract."""

    fold: int
    rows: Floats  # [labels, columns]
    present: Flags  # [labels]


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
