"""Make a specialist's calibration set, and prove that a stated risk is kept.

    python -m models.guarantee models/contract-clauses --data FOLDER

From the committed predictions, each made by a model that had not seen the contract, it takes the
clauses that are shown, their confidence as it is served, and whether each is wrong by the legal
metric, and writes them beside the adapter as `guarantee.npz`, without a word of a contract. The
proof draws company families 500 times, chooses thresholds on what was drawn, and looks at the risk
that came out; it is printed and written to `guarantee.json`, for the card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibrations import MAPS, error_of, fit_lines, fit_map, reliability
from models.corpus import read_labels, read_records
from models.evaluate import Judged, judge, predicted_folds
from models.predict import Candidate, read_predictions
from models.proof import DRAWS, LEVEL, RISKS, bounds, proof
from services.extraction.guarantee import least_shown
from services.extraction.pipeline import calibrated
from shared.artefacts import sha256
from shared.guarantee import NEVER, Calibration, promise
from shared.inference.adapters import (
    GUARANTEE_FILE,
    MANIFEST_FILE,
    Manifest,
    newest_version,
    read_manifest,
    write_manifest,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SHIPPED_MAP = "Platt, by category"
KEPT = 0.05
"""Candidates of a lower confidence are shown to nobody and learned from by no map."""


@dataclass(frozen=True)
class Rows:
    """The clauses of all contracts that were not seen, and the answers."""

    labels: tuple[str, ...]
    families: int
    family: Integers  # [clauses]
    fold: Integers  # [clauses]
    label: Integers  # [clauses]
    score: Floats  # [clauses], as ranked
    confidence: Floats  # [clauses], as served
    right: Floats  # [clauses]: 1 where an answer matches
    answer_family: Integers  # [answers]
    answer_confidence: Floats  # [answers]
    contract: Integers  # [clauses]

    def shown(self, least: float) -> Rows:
        """Those that are shown above a confidence."""
        kept = self.confidence > least
        names = ("family", "fold", "label", "score", "confidence", "right", "contract")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


def rows_of(contracts: Sequence[Judged], folds: Sequence[int], manifest: Manifest) -> Rows:
    """Put judged contracts into rows; families get numbers in the order of their hashes.

    Args:
        contracts: with answers and candidates.
        folds: of the contracts.
        manifest: of the shipped adapter, whose calibration makes confidences of scores.
    """
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
            for place in matched:
                answered[place] = max(answered[place], confidence)
            if confidence > KEPT:
                found = (candidate.label, candidate.score, confidence, float(bool(matched)))
                rows.append((family, fold, *found, here))
        answers += [(family, value) for values in best.values() for value in values]
    columns, known = np.array(rows, float).T, np.array(answers, float).T
    return Rows(
        labels=manifest.labels,
        families=len(order),
        family=columns[0].astype(np.int64),
        fold=columns[1].astype(np.int64),
        label=columns[2].astype(np.int64),
        score=columns[3],
        confidence=columns[4],
        right=columns[5],
        answer_family=known[0].astype(np.int64),
        answer_confidence=known[1],
        contract=columns[6].astype(np.int64),
    )


def cross_fitted(rows: Rows, name: str) -> Floats:
    """Return how likely each clause is right, by a map fitted on the other folds [clauses]."""
    result = np.empty(len(rows.label))
    for fold in np.unique(rows.fold):
        inside = rows.fold == fold
        told = rows.confidence[~inside], rows.right[~inside], rows.label[~inside]
        mapped = fit_map(name, *told, len(rows.labels))
        result[inside] = mapped(rows.confidence[inside], rows.label[inside])
    return result


def calibration_of(rows: Rows, belief: Floats) -> Calibration:
    """Return the calibration set of shown clauses whose beliefs were fitted on other folds."""
    lines = fit_lines(rows.confidence, rows.right, rows.label, len(rows.labels))
    return Calibration(
        rows.labels,
        rows.families,
        lines,
        rows.family,
        rows.label,
        belief,
        1.0 - rows.right,
        rows.answer_family,
        rows.answer_confidence,
        np.unique(rows.contract, return_inverse=True)[1],
    )


# --- what it is compared with -------------------------------------------------------------------


def maps(rows: Rows) -> list[dict[str, Any]]:
    """Return the calibration error of each map over shown clauses, and what it accepts."""
    found = []
    for name in MAPS:
        belief = cross_fitted(rows, name)
        known = calibration_of(rows, belief)
        accepted = {str(risk): promise(known, risk, LEVEL).accepted for risk in RISKS}
        found.append({"map": name, "ece": error_of(belief, rows.right), "accepted": accepted})
    return found


def by_category(known: Calibration) -> dict[str, dict[str, Any]]:
    """Return for each category what the rule for all accepts of it, and what it could do alone."""
    found: dict[str, dict[str, Any]] = {}
    together = {risk: promise(known, risk, LEVEL) for risk in RISKS}
    for place, name in enumerate(known.labels):
        others = [other for other in known.labels if other != name]
        mine = known.label == place
        line: dict[str, Any] = {"shown": int(mine.sum())}
        for risk in RISKS:
            said = together[risk].belief
            taken = mine & (known.served >= (NEVER if said is None else said))
            line[str(risk)] = {
                "from": None if said is None else known.confidence_of(name, said),
                "accepted": int(taken.sum()),
                "wrong": int(known.wrong[taken].sum()),
                "alone": promise(known, risk, LEVEL, others).accepted,
            }
        found[name] = line
    return found


def missing(known: Calibration) -> list[dict[str, Any]]:
    """Return above which confidence clauses must be shown so that few answers are missed."""
    levels = [i / 100 for i in range(99, 0, -1)] + [0.005, 0.002, 0.001, 0.0]
    return [
        {"missed": share, "shown_above": least_shown(known, share, levels)}
        for share in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
    ]


# --- the command --------------------------------------------------------------------------------


def write_beside(folder: Path, manifest: Manifest, known: Calibration) -> None:
    """Put the set into an adapter's folder; the manifest, which vouches for it, comes last."""
    path = folder / GUARANTEE_FILE
    partial_file = path.with_suffix(".partial")
    partial_file.write_bytes(known.to_bytes())
    partial_file.replace(path)
    write_manifest(folder / MANIFEST_FILE, replace(manifest, guarantee_sha256=sha256(path)))


def tables(report: dict[str, Any]) -> str:
    """Return the proof as a table in Markdown."""
    lines = [
        "| risk | way | attained | risk, drawn | exceeded | risk, halves | exceeded | covered |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in report["proof"]:
        drawn, halves = one["drawn"], one["halves"]
        cells = [
            f"{one['risk']:.0%}",
            one["way"],
            f"{drawn['attained']:.0%}",
            "" if drawn["risk"] is None else f"{drawn['risk']:.1%}",
            f"{drawn['exceeded']:.1%}",
            "" if halves["risk"] is None else f"{halves['risk']:.1%}",
            f"{halves['exceeded']:.1%}",
            f"{drawn['covered']:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, make the set, prove, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with labels.json and predictions")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    manifest = read_manifest(shipped / MANIFEST_FILE)
    rows = read_rows(folder, arguments.data, manifest)
    shown = rows.shown(manifest.thresholds["best_f1"])
    belief = cross_fitted(shown, SHIPPED_MAP)
    known = calibration_of(shown, belief)
    write_beside(shipped, manifest, known)
    report = {
        "families": known.families,
        "shown": len(known.label),
        "wrong": int(known.wrong.sum()),
        "answers": len(known.answer_family),
        "level": LEVEL,
        "draws": DRAWS,
        "promises": [asdict(promise(known, risk, LEVEL)) for risk in RISKS],
        "proof": proof(known, shown.confidence, shown.score),
        "bounds": bounds(known),
        "maps": maps(shown),
        "reliability": reliability(belief, shown.right),
        "categories": by_category(known),
        "missed": missing(known),
    }
    text = json.dumps(report, indent=1) + "\n"
    (folder / "guarantee.json").write_text(text, encoding="utf-8")
    print(tables(report))


def read_rows(folder: Path, data: Path, manifest: Manifest) -> Rows:
    """Judge the committed predictions of a specialist."""
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    labels = read_labels(folder, config["data"])
    folds = predicted_folds(folder)
    predictions: dict[str, list[Candidate]] = {}
    for fold in folds:
        predictions |= read_predictions(folder / f"predictions-fold{fold}.jsonl.gz")
    records = list(read_records(data, config["data"], folds))
    contracts = [judge(record, predictions[record["id"]], labels) for record in records]
    return rows_of(contracts, [record["fold"] for record in records], manifest)


if __name__ == "__main__":
    main()
