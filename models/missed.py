"""Prove that a stated share of missed clauses is kept, and count what people then look at.

    python -m models.missed models/contract-clauses

From the calibration set beside the adapter and the committed predictions: above which confidence
clauses are shown for a stated share (`services/extraction/guarantee.py`), how many of the true ones
are missed so, how many are shown in a contract, and, in 500 draws of company families, how often
the share that came out was larger. Printed and written to `missed.json`, for the card.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluate import predicted_folds
from models.predict import read_predictions
from models.proof import DRAWS, LEVEL, SEED, Way, outcome
from models.risk_card import missed_table
from services.extraction.guarantee import CONFIDENCES, MOST_ANSWERS, shown_for
from services.extraction.pipeline import calibrated
from shared.guarantee import Calibration, read_calibration
from shared.inference.adapters import (
    GUARANTEE_FILE,
    MANIFEST_FILE,
    Manifest,
    newest_version,
    read_manifest,
)

Floats = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def proof_of_missed(known: Calibration) -> list[dict[str, Any]]:
    """Return for each share what `models.proof.proof` does for risks: true clauses stand for
    accepted ones, and missed ones for wrong ones.
    """
    draw = np.random.default_rng(SEED)
    families = known.families
    missed, answers = known.missed(CONFIDENCES)
    way = Way(CONFIDENCES, np.broadcast_to(answers, missed.shape), missed)
    weights = draw.multinomial(families, np.full(families, 1 / families), DRAWS).T.astype(float)
    half = np.zeros((families, DRAWS))
    for one in range(DRAWS):
        half[draw.permutation(families)[: families // 2], one] = 1.0
    found = []
    for share in SHARES:
        choose = partial(way.tested, risk=share, most=MOST_ANSWERS)
        drawn = outcome(way, choose(weights), np.ones((families, DRAWS)), share, answers)
        halves = outcome(way, choose(half), 1.0 - half, share, answers)
        found.append({"share": share, "drawn": drawn, "halves": halves})
    return found


def confidences(folder: Path, manifest: Manifest) -> list[Floats]:
    """Return the confidence of every candidate of each contract, by models that had not seen it."""
    return [
        np.array([calibrated(one.score, manifest.calibration) for one in candidates])
        for fold in predicted_folds(folder)
        for candidates in read_predictions(folder / f"predictions-fold{fold}.jsonl.gz").values()
    ]


def figures(known: Calibration, served: list[Floats], usual: float) -> dict[str, Any]:
    """Return what is written down.

    Args:
        known: the calibration set.
        served: of each contract, the confidences of its candidates.
        usual: the confidence above which clauses are shown where nothing is stated.
    """

    def shown(above: float) -> float:
        return float(np.mean([(one > above).sum() for one in served]))

    rows = []
    for proved in proof_of_missed(known):
        made = shown_for(known, proved["share"], LEVEL)
        rows.append(
            {
                **proved,
                "above": made.above,
                "missed": made.missed,
                "why_not": made.why_not,
                "shown": None if made.above is None else shown(min(made.above, usual)),
            }
        )
    answers = len(known.answer_confidence)
    return {
        "level": LEVEL,
        "draws": DRAWS,
        "answers": answers,
        "usual": usual,
        "usually_missed": int((known.answer_confidence <= usual).sum()),
        "usually_shown": shown(usual),
        "shares": rows,
    }


def main() -> None:
    """Read the command line, prove, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("specialist", type=Path, help="folder with predictions")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    manifest = read_manifest(shipped / MANIFEST_FILE)
    known = read_calibration((shipped / GUARANTEE_FILE).read_bytes())
    found = figures(known, confidences(folder, manifest), manifest.thresholds["best_f1"])
    text = json.dumps(found, indent=1) + "\n"
    (folder / "missed.json").write_text(text, encoding="utf-8")
    print(missed_table(found))


if __name__ == "__main__":
    main()
