"""Score the clauses as they are shown: cut at their ends.

    python -m models.clauses.clause_ends models/clauses/contract-clauses --data FOLDER

Takes the committed predictions with the calibration of `scores.json`, and writes `ends.json`. The
clauses are cut by `services/extraction/pipeline/clause_ends.py`; `scores.json` is without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.corpus import read_labels, read_records
from models.evaluation.curves import at_place, summary
from models.evaluation.evaluate import folds_predicted
from models.evaluation.judging import answers_of
from models.evaluation.predict import Candidate
from models.files import command, read_config, read_json, write_json
from services.extraction.evaluation.metric import THRESHOLDS, Counts, Curve, count_contract
from services.extraction.pipeline.decoding import Decoding
from services.extraction.pipeline.search import clauses_of, clean_clauses


def count(
    record: dict[str, Any],
    found: list[Candidate],
    labels: list[str],
    calibration: dict[str, Any],
    decoding: Decoding,
) -> tuple[Counts, Counts]:
    """Count one contract: [labels, thresholds, 2] and answers [labels]."""
    text = record["text"]
    clauses = clauses_of(text, found, labels, calibration)
    predictions: dict[str, list[tuple[str, float]]] = {}
    for clause in clean_clauses(text, clauses, (), decoding.entities):
        predictions.setdefault(clause.category, []).append((clause.text, clause.confidence))
    return count_contract(labels, predictions, answers_of(record))


def main() -> None:
    """Read the command line, score, and write the figures."""
    options = command(__doc__, "specialist", "--data").parse_args()
    folder = options.specialist
    config, scores = read_config(folder), read_json(folder / "scores.json")
    labels, decoding = read_labels(folder, config["data"]), Decoding.of(config["decoding"])
    folds, found = folds_predicted(folder)
    counted = [
        count(record, found[record["id"]], labels, scores["calibration"], decoding)
        for record in read_records(options.data, config["data"], folds)
    ]
    counts, answers = (np.sum(part, axis=0) for part in zip(*counted, strict=True))
    curve = Curve.of(counts.sum(0), int(answers.sum()))
    shown = int(np.abs(THRESHOLDS - scores["thresholds"]["best_f1"]).argmin())
    print(
        write_json(
            folder / "ends.json", {"pooled": summary(curve), "shown": at_place(curve, shown)}
        )
    )


if __name__ == "__main__":
    main()
