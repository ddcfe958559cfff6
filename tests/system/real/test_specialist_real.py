"""The committed predictions, scored again on the real contracts by the legal metric."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from models.corpus import read_records
from models.evaluation.evaluate import predicted_folds
from models.evaluation.judging import counts_of, judge
from models.evaluation.predict import Candidate, read_predictions
from models.files import folder_of
from services.extraction.evaluation.metric import Curve
from tests.support import data_folder

SPECIALIST = folder_of("contract-clauses")
TARGET = 0.58
"""The AUPR that the first specialist has to reach on a fold it never saw."""


def test_the_card_says_what_the_predictions_score() -> None:
    """AUPR from the raw predictions is that of scores.json, and above the target."""
    data = data_folder("legal")
    labels = json.loads((SPECIALIST / "labels.json").read_text("utf-8"))
    claimed = json.loads((SPECIALIST / "scores.json").read_text("utf-8"))
    folds = predicted_folds(SPECIALIST)
    assert folds == claimed["folds"]
    predictions: dict[str, list[Candidate]] = {}
    for fold in folds:
        predictions |= read_predictions(SPECIALIST / f"predictions-fold{fold}.jsonl.gz")
    config = tomllib.loads((SPECIALIST / "config.toml").read_text("utf-8"))
    records = list(read_records(data, config["data"], folds))
    assert {record["id"] for record in records} == set(predictions)
    counts, answers = [], 0
    for record in records:
        counted, number = counts_of(judge(record, predictions[record["id"]], labels), labels, {})
        counts.append(counted.sum(0))
        answers += int(number.sum())
    aupr = Curve.of(np.stack(counts).sum(0), answers).aupr
    assert aupr == pytest.approx(claimed["pooled_without_calibration"]["aupr"], abs=1e-9)
    assert answers == claimed["answers"]
    assert aupr > TARGET
