"""The training of what orders the review queue, from predictions to what is served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import library

library("onnx")
library("lightgbm")
library("sklearn")

from models import files
from models.files import read_lines, write_json, write_lines
from models.review_priority import __main__ as training
from models.review_priority.simulation import queues
from services.review.priority import NAME, Priority
from shared.features.clause_list import COLUMNS
from tests.models.builders import FOREST, run, toml, write_specialist

pytestmark = pytest.mark.training
LABELS = ["Insurance", "Parties"]
CONTRACTS = 20
PASSAGES = 6
FEW = {"trees": 30, "leaves": 4, "least_rows": 3, "share_of_rows": 0.9, "seed": 1, "seeds": 2}
CONFIG = toml(
    version="0.1.0",
    data={"adapter": "toy", "licence": "ours"},
    forest=FOREST | FEW,
    linear={"strength": 0.05},
)
ADAPTER = toml(version="7.8.9", data={"training": "contracts.jsonl.gz"})
SCORES = {"thresholds": {"best_f1": 0.3}, "calibration": {}}


def contract(number: int) -> tuple[dict[str, Any], list[list[float]]]:
    """A contract in which every passage with a number is wrong, however sure the adapter is."""
    draw = np.random.default_rng(number)
    text, notes, spans = "", [], []
    for place in range(PASSAGES):
        wrong = bool(draw.integers(2))
        passage = f"clause {place} of 1234" if wrong else "the goods are insured by them"
        start, end = len(text), len(text) + len(passage)
        if not wrong:
            notes.append({"category": "Insurance", "start": start, "end": end})
        spans.append([0, start, end, round(float(draw.uniform(0.4, 0.9)), 3)])
        text += passage + ". "
    head = {"id": f"c{number}", "title": "t", "family": f"f{number}", "fold": number % 5}
    return head | {"text": text, "annotations": notes}, spans


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, the predictions of an adapter, and a recipe."""
    monkeypatch.setattr(files, "MODELS", tmp_path / "models")
    made = [contract(number) for number in range(CONTRACTS)]
    specialist = write_specialist(tmp_path / "models" / "toy", ADAPTER, LABELS)
    write_specialist(tmp_path / "models" / NAME, CONFIG, [])
    write_json(specialist / "scores.json", SCORES)
    write_lines(tmp_path / "contracts.jsonl.gz", [record for record, _ in made])
    for fold in range(5):
        spans = [{"id": r["id"], "spans": spans} for r, spans in made if r["fold"] == fold]
        write_lines(specialist / f"predictions-fold{fold}.jsonl.gz", spans)
    return tmp_path


def trained(folder: Path) -> tuple[list[dict[str, Any]], bytes]:
    """Train, and return the predictions and the forest."""
    recipe, out = folder / "models" / NAME, folder / "artefacts"
    shutil.rmtree(out, ignore_errors=True)
    run(training.main, "--data", folder, "--out", out, "--config", recipe / "config.toml")
    (forest,) = out.glob("*/*/*.onnx")
    return list(read_lines(recipe / "predictions.jsonl.gz")), forest.read_bytes()


def test_wrong_candidates_of_any_confidence_are_learned(folder: Path) -> None:
    lines, forest = trained(folder)
    assert len(lines) == CONTRACTS
    assert "insured" not in json.dumps(lines)
    changed = np.array([d != "accept" for line in lines for d in line["decision"]])
    learned = np.array([chance for line in lines for chance in line["learned"]])
    assert changed.any()
    assert not changed.all()
    assert learned[changed].min() > learned[~changed].max()
    few = np.array([chance for line in lines for chance in line["told_less"]])
    assert few[changed].min() < few[~changed].max()
    assert (lines, forest) == trained(folder), "the same data make the same again"


def test_the_shipped_graph_gives_the_forest_probabilities(folder: Path) -> None:
    trained(folder)
    priority = Priority.load(folder / "artefacts")
    assert priority.title == f"{NAME} 0.1.0"
    some = list(queues(folder, folder / "models" / "toy"))
    (record, _), queue = contract(0), some[0]
    assert queue.id == record["id"]
    chances = priority.chances(record["text"], queue.clauses)
    assert [chance is not None and chance > 0.5 for chance in chances] == queue.changed.tolist()
    foreign = [clause.model_copy(update={"adapter": "other"}) for clause in queue.clauses]
    assert set(priority.chances(record["text"], foreign)) == {None}


def test_a_contract_is_scored_by_heads_without_its_fold(folder: Path) -> None:
    some = list(queues(folder, folder / "models" / "toy"))
    lessons: list[int] = []

    def learner(rows: Any, _changed: Any) -> Any:
        lessons.append(len(rows))
        marks = {row.tobytes() for row in rows}

        def head(asked: Any) -> Any:
            assert not marks & {row.tobytes() for row in asked}
            return np.zeros(len(asked), np.float32)

        return head

    found = training.out_of_fold(some, learner)
    assert [len(values) for values in found] == [len(queue.clauses) for queue in some]
    assert lessons == [CONTRACTS * PASSAGES * 4 // 5] * 5


def test_a_linear_head_sees_a_line_for_each_category() -> None:
    rows = np.zeros((2, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index("confidence")] = 0.75
    rows[1, COLUMNS.index("category")] = 2
    wide = training.spread(rows, categories=3)
    assert wide.shape == (2, len(COLUMNS) + 1 + 3 + 3)
    odds = np.log(3)
    assert wide[:, len(COLUMNS) :] == pytest.approx(
        np.array([[odds, 1, 0, 0, odds, 0, 0], [odds, 0, 0, 1, 0, 0, odds]])
    )
