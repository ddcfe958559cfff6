"""Training data and metric of `review-priority`, by hand, and the artefact that ships."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from models.evaluation.predict import Candidate
from models.files import folder_of, read_config, read_json, read_lines
from models.review_priority.scores import (
    FOLDER,
    differences,
    figures,
    items_of,
)
from models.review_priority.simulation import decided, queue_of
from services.review.priority import NAME, PriorityManifest
from shared.features.clause_list import COLUMNS
from tests.models.builders import Record, note
from tests.support import ROOT

TEXT = "Alpha insures the goods against all risks. Beta pays the premium. Gamma does nothing."
LABELS = ["Insurance", "Parties"]
SCORES = {
    "thresholds": {"best_f1": 0.3},
    "calibration": {"scores": [0.2, 0.8], "confidences": [0.1, 0.9]},
}
TIME = {"seconds": 10.0, "words_a_minute": 60.0}


def contract(text: str, *notes: Record) -> Record:
    return {"id": "c1", "family": "alpha", "fold": 2, "text": text, "annotations": [*notes]}


def test_a_reviewer_accepts_corrects_and_rejects_by_the_labels() -> None:
    record = contract(TEXT, note("Insurance", TEXT, "Alpha insures the goods against all risks."))
    quoted = [
        ("Alpha insures the goods against all risks", 0, 0.8),  # all its words, without the stop
        ("insures the goods against", 0, 0.6),  # four of seven words: it matches
        ("all risks", 0, 0.5),  # two of seven: it overlaps the answer
        ("Beta pays the premium", 0, 0.4),
        ("Alpha", 1, 0.7),  # parties were not asked for
        ("Gamma", 0, 0.2),  # a confidence of 0.1: it is not shown
    ]
    starts = [TEXT.index(quote) for quote, _, _ in quoted]
    candidates = [
        Candidate(label, start, start + len(quote), score)
        for start, (quote, label, score) in zip(starts, quoted, strict=True)
    ]
    queue = queue_of(record, candidates, LABELS, SCORES, "contract-clauses")
    assert queue.decisions == ["accept", "accept", "correct", "reject", "reject"]
    assert queue.exact.tolist() == [True, False, False, False, False]
    assert queue.changed.tolist() == [False, False, True, True, True]
    assert queue.words.tolist() == [7, 4, 2, 4, 1]
    assert queue.rows.shape == (5, len(COLUMNS))
    assert queue.rows[:, COLUMNS.index("category")].tolist() == [0, 0, 0, 0, 1]
    assert queue.rows[0, 0] == pytest.approx(0.9)
    assert (queue.family, queue.fold) == ("alpha", 2)
    assert {clause.adapter for clause in queue.clauses} == {"contract-clauses"}


def test_repetitions_of_an_answer_are_accepted() -> None:
    record = contract("Alpha and Alpha", note("Parties", "Alpha and Alpha", "Alpha"))
    some = [Candidate(1, 0, 5, 0.9), Candidate(1, 10, 15, 0.5)]
    queue = queue_of(record, some, LABELS, SCORES, "contract-clauses")
    assert queue.decisions == ["accept", "accept"]
    assert queue.exact.tolist() == [True, True]
    assert decided([], {}, TEXT)[0] == []


def predictions() -> list[Record]:
    return list(read_lines(FOLDER / "predictions.jsonl.gz"))


def line(family: str, *clauses: tuple[float, float, str, int]) -> dict[str, Any]:
    """The prediction of a contract: confidence, chance, decision and words of each clause."""
    confidence, chance, decision, words = (list(part) for part in zip(*clauses, strict=True))
    return {
        "id": family,
        "family": family,
        "spans": [[0, 0, 1]] * len(clauses),
        "confidence": confidence,
        "words": words,
        "decision": decision,
        "exact": [name == "accept" for name in decision],
        "learned": chance,
        "linear": chance,
        "told_less": [1 - value for value in confidence],
    }


LINES = [
    line("alpha", (0.4, 0.1, "accept", 0), (0.5, 0.9, "reject", 10), (0.6, 0.2, "accept", 0),
         (0.7, 0.8, "correct", 30), (0.8, 0.3, "accept", 0)),
    line("beta", (0.45, 0.15, "accept", 0), (0.55, 0.25, "accept", 0), (0.65, 0.05, "reject", 50),
         (0.75, 0.7, "reject", 20), (0.85, 0.4, "accept", 0)),
]  # fmt: skip
"""Ten clauses, four of them changed, of which the forest puts one last."""


def test_an_order_gains_nothing_over_itself() -> None:
    many = [{**LINES[0], "family": f"f{n}"} for n in range(40)]
    items = items_of(many, TIME)
    urgency = items.chances["learned"] + np.arange(len(items.changed)) * 1e-6  # no equals
    same = differences(items, urgency, urgency, items.changed)
    assert same == {"10%": [0, 0], "20%": [0, 0], "50%": [0, 0]}
    gained = differences(items, items.chances["learned"], 1 - items.confidence, items.changed)
    assert gained["20%"][0] > 0


CONFIG = read_config(FOLDER)


def test_figures_and_card_are_those_of_the_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    committed = read_json(FOLDER / "scores.json")
    monkeypatch.setattr("models.review_priority.scores.differences", lambda *_: None)
    again = json.loads(json.dumps(figures(predictions(), CONFIG["time"])))
    assert again | {"gains": committed["gains"]} == committed
    elsewhere = read_json(folder_of(CONFIG["data"]["adapter"]) / "guarantee.json")
    decisions = committed["decisions"]
    assert elsewhere["shown"] == committed["clauses"]
    assert elsewhere["wrong"] == decisions["correct"] + decisions["reject"]


def test_the_shipped_order_is_better_than_confidence() -> None:
    scores = read_json(FOLDER / "scores.json")
    low, high = scores["gains"]["learned"]["20%"]
    gain = scores["caught"]["learned"]["20%"] - scores["caught"]["confidence"]["20%"]
    assert 0 < low < gain < high


def test_the_shipped_order_was_learned_from_the_shipped_adapter() -> None:
    """Another version of the adapter is another training: run `make review-priority`."""
    (path,) = (ROOT / "models" / "artefacts" / NAME).glob(f"*/{PriorityManifest.FILE}")
    shipped = PriorityManifest.read(path.parent)
    adapter = CONFIG["data"]["adapter"]
    recipe = read_config(folder_of(adapter))
    labels = read_json(folder_of(adapter) / "labels.json")
    assert (shipped.adapter, shipped.adapter_version) == (adapter, recipe["version"])
    assert shipped.categories == tuple(labels)
    assert shipped.licence == CONFIG["data"]["licence"]
    versions = {line["version"] for line in predictions()} | {CONFIG["version"], path.parent.name}
    assert versions == {shipped.version}
