"""Test that at most a stated share of clauses is missed, and count the shown clauses.

    python -m models.clauses.recall_target models/clauses/contract-clauses

Uses the calibration set beside the adapter and the committed predictions. For each share it
computes the confidence above which clauses are shown
(`services/extraction/routing/recall_target.py`). It counts the missed and the shown clauses, and
how often the share was exceeded in 500 draws of company families. Writes `missed.json`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.clauses.risk_proof import DRAWS, LEVEL, AcceptanceRule, drawn_families, drawn_outcomes
from models.evaluation.evaluate import folds_predicted
from models.files import command, write_json
from services.extraction.pipeline.search import calibrated_all
from services.extraction.routing.recall_target import CONFIDENCES, MOST_ANSWERS, recall_threshold
from shared.inference.adapters import GUARANTEE_FILE, AdapterManifest, newest_version
from shared.policy.risk_control import Calibration, read_calibration

Floats = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def proof_of_missed(calibration: Calibration) -> list[dict[str, Any]]:
    """Return the test of `models.clauses.risk_proof` for each share of missed clauses.

    True clauses replace accepted ones, and missed clauses replace wrong ones.
    """
    missed, answers = calibration.missed(CONFIDENCES)
    rule = AcceptanceRule(CONFIDENCES, np.broadcast_to(answers, missed.shape), missed)
    weights, half = drawn_families(calibration.families)
    result = []
    for share in SHARES:
        choose = partial(rule.tested, risk=share, most=MOST_ANSWERS)
        outcomes = drawn_outcomes(rule, choose, weights, half, share, answers)
        result.append({"share": share, **outcomes})
    return result


def figures(calibration: Calibration, served: list[Floats], usual: float) -> dict[str, Any]:
    """Return the content of `missed.json`; `usual` is the default confidence of shown clauses."""

    def shown(above: float) -> float:
        return float(np.mean([(candidate > above).sum() for candidate in served]))

    rows = []
    for proved in proof_of_missed(calibration):
        made = recall_threshold(calibration, proved["share"], LEVEL)
        rows.append(
            {
                **proved,
                "above": made.above,
                "missed": made.missed,
                "no_guarantee_reason": made.no_guarantee_reason,
                "shown": None if made.above is None else shown(min(made.above, usual)),
            }
        )
    answers = len(calibration.answer_confidence)
    return {
        "level": LEVEL,
        "draws": DRAWS,
        "answers": answers,
        "usual": usual,
        "usually_missed": int((calibration.answer_confidence <= usual).sum()),
        "usually_shown": shown(usual),
        "shares": rows,
    }


def main() -> None:
    """Read the command line, test, and write the result."""
    parser = command(__doc__, "specialist", "--artefacts")
    arguments = parser.parse_args()
    folder = arguments.specialist
    shipped = newest_version(arguments.artefacts, folder.name)
    manifest = AdapterManifest.read(shipped)
    calibration = read_calibration((shipped / GUARANTEE_FILE).read_bytes())
    served = [
        calibrated_all([candidate.score for candidate in candidates], manifest.calibration)
        for candidates in folds_predicted(folder)[1].values()
    ]
    result = figures(calibration, served, manifest.thresholds["best_f1"])
    print(write_json(folder / "missed.json", result), end="")


if __name__ == "__main__":
    main()
