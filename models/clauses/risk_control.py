"""Make a specialist's calibration set, and test that a stated risk is kept.

    python -m models.clauses.risk_control models/clauses/contract-clauses --data FOLDER

From the committed predictions of unseen contracts it takes the shown clauses, their served
confidence and whether each is wrong by the legal metric. They are written beside the adapter as
`guarantee.npz`, without text. The test draws company families 500 times, chooses thresholds on each
draw and computes the risk. Prints it and writes `guarantee.json`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.clauses.risk_proof import DRAWS, LEVEL, RISKS, bounds, proof
from models.evaluation.calibration import MAPS, error_of, fit_lines, fit_map, reliability
from models.evaluation.evaluate import judged
from models.evaluation.judging import ScoredContract
from models.files import command, write_json
from services.extraction.pipeline.search import calibrated
from services.extraction.routing.recall_target import least_shown
from shared.artefacts.loader import sha256
from shared.inference.adapters import GUARANTEE_FILE, AdapterManifest, newest_version
from shared.policy.risk_control import NEVER, Calibration, control_risk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SHIPPED_MAP = "Platt, by category"
COLUMNS = ("family", "fold", "label", "score", "confidence", "right", "contract")
INTEGERS = ("family", "fold", "label", "contract")
KEPT = 0.05
"""Candidates of a lower confidence are never shown, and no map learns from them."""


@dataclass(frozen=True)
class Rows:
    """The clauses of all unseen contracts, and the answers."""

    labels: tuple[str, ...]
    families: int
    family: Integers  # [clauses]
    fold: Integers  # [clauses]
    label: Integers  # [clauses]
    score: Floats  # [clauses], as ranked
    confidence: Floats  # [clauses], as served
    right: Floats  # [clauses]: 1 if an answer matches
    answer_family: Integers  # [answers]
    answer_confidence: Floats  # [answers]
    contract: Integers  # [clauses]

    def shown(self, least: float) -> Rows:
        selected = self.confidence > least
        return replace(self, **{name: getattr(self, name)[selected] for name in COLUMNS})


def rows_of(
    contracts: Sequence[ScoredContract], folds: Sequence[int], manifest: AdapterManifest
) -> Rows:
    """Put scored contracts into rows; families are numbered in the order of their hashes."""
    named = {contract.family for contract in contracts}
    order = sorted(named, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    number = {name: i for i, name in enumerate(order)}
    rows, answers = [], []
    for here, (contract, fold) in enumerate(zip(contracts, folds, strict=True)):
        family = number[contract.family]
        best = {name: [0.0] * len(texts) for name, texts in contract.answers.items()}
        for candidate, matched in zip(contract.candidates, contract.matched, strict=True):
            confidence = calibrated(candidate.score, manifest.calibration)
            answered = best.get(manifest.labels[candidate.label], [])
            for index in matched:
                answered[index] = max(answered[index], confidence)
            if confidence > KEPT:
                result = (candidate.label, candidate.score, confidence, float(bool(matched)))
                rows.append((family, fold, *result, here))
        answers += [(family, value) for values in best.values() for value in values]
    columns = dict(zip(COLUMNS, np.array(rows, float).T, strict=True))
    columns |= {name: columns[name].astype(np.int64) for name in INTEGERS}
    of_answers = np.array(answers, float).T
    return Rows(
        manifest.labels,
        len(order),
        **columns,
        answer_family=of_answers[0].astype(np.int64),
        answer_confidence=of_answers[1],
    )


def cross_fitted(rows: Rows, name: str) -> Floats:
    """Return the probability that each clause is right, by a map of the other folds [clauses]."""
    result = np.empty(len(rows.label))
    for fold in np.unique(rows.fold):
        inside = rows.fold == fold
        training = rows.confidence[~inside], rows.right[~inside], rows.label[~inside]
        mapped = fit_map(name, *training, len(rows.labels))
        result[inside] = mapped(rows.confidence[inside], rows.label[inside])
    return result


def calibration_of(rows: Rows, belief: Floats) -> Calibration:
    """Return the calibration set of the shown clauses; their beliefs are cross-fitted."""
    lines = fit_lines(rows.confidence, rows.right, rows.label, len(rows.labels))
    of_clauses = rows.family, rows.label, belief, 1.0 - rows.right
    of_answers = rows.answer_family, rows.answer_confidence
    contract = np.unique(rows.contract, return_inverse=True)[1]
    return Calibration(rows.labels, rows.families, lines, *of_clauses, *of_answers, contract)


# --- comparisons --------------------------------------------------------------------------------


def maps(rows: Rows) -> list[dict[str, Any]]:
    """Return the calibration error of each map over shown clauses, and the clauses it accepts."""
    result = []
    for name in MAPS:
        belief = cross_fitted(rows, name)
        calibration = calibration_of(rows, belief)
        accepted = {str(risk): control_risk(calibration, risk, LEVEL).accepted for risk in RISKS}
        result.append({"map": name, "ece": error_of(belief, rows.right), "accepted": accepted})
    return result


def by_category(calibration: Calibration) -> dict[str, dict[str, Any]]:
    """Return the clauses of each category accepted at the common and at its own threshold."""
    result: dict[str, dict[str, Any]] = {}
    guarantees = {risk: control_risk(calibration, risk, LEVEL) for risk in RISKS}
    for number, name in enumerate(calibration.labels):
        excluded = [other for other in calibration.labels if other != name]
        mine = calibration.label == number
        line: dict[str, Any] = {"shown": int(mine.sum())}
        for risk in RISKS:
            belief = guarantees[risk].belief
            taken = mine & (calibration.served >= (NEVER if belief is None else belief))
            line[str(risk)] = {
                "from": None if belief is None else calibration.confidence_of(name, belief),
                "accepted": int(taken.sum()),
                "wrong": int(calibration.wrong[taken].sum()),
                "alone": control_risk(calibration, risk, LEVEL, excluded).accepted,
            }
        result[name] = line
    return result


def missing(calibration: Calibration) -> list[dict[str, Any]]:
    """Return the confidences above which clauses must be shown to miss few answers."""
    levels = [i / 100 for i in range(99, 0, -1)] + [0.005, 0.002, 0.001, 0.0]
    return [
        {"missed": share, "shown_above": least_shown(calibration, share, levels)}
        for share in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
    ]


# --- the command --------------------------------------------------------------------------------


def write_beside(folder: Path, manifest: AdapterManifest, calibration: Calibration) -> None:
    """Write the set into an adapter's folder; the manifest with its digest comes last."""
    path = folder / GUARANTEE_FILE
    partial_file = path.with_suffix(".partial")
    partial_file.write_bytes(calibration.to_bytes())
    partial_file.replace(path)
    replace(manifest, guarantee_sha256=sha256(path)).write(folder)


def main() -> None:
    """Read the command line, make the set, test, and print."""
    parser = command(__doc__, "specialist", "--data", "--artefacts")
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    manifest = AdapterManifest.read(shipped)
    rows = read_rows(folder, arguments.data, manifest)
    shown = rows.shown(manifest.thresholds["best_f1"])
    belief = cross_fitted(shown, SHIPPED_MAP)
    calibration = calibration_of(shown, belief)
    write_beside(shipped, manifest, calibration)
    report: dict[str, Any] = {
        "families": calibration.families,
        "shown": len(calibration.label),
        "wrong": int(calibration.wrong.sum()),
        "answers": len(calibration.answer_family),
        "level": LEVEL,
        "draws": DRAWS,
        "promises": [asdict(control_risk(calibration, risk, LEVEL)) for risk in RISKS],
        "proof": proof(calibration, shown.confidence, shown.score),
        "bounds": bounds(calibration),
        "maps": maps(shown),
        "reliability": reliability(belief, shown.right),
        "categories": by_category(calibration),
        "missed": missing(calibration),
    }
    write_json(folder / "guarantee.json", report)
    for entry in report["proof"]:
        print(f"{entry['risk']:.0%} {entry['way']}: exceeded {entry['drawn']['exceeded']:.1%}")


def read_rows(folder: Path, data: Path, manifest: AdapterManifest) -> Rows:
    """Match the committed predictions of a specialist with the answers."""
    records, contracts, _ = judged(folder, data)
    return rows_of(contracts, [record["fold"] for record in records], manifest)


if __name__ == "__main__":
    main()
