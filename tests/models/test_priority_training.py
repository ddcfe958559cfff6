"""The training of what orders the review queue, from predictions to what is served."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import library

library("onnx")
library("lightgbm")
library("sklearn")

from models.priority import __main__ as training
from models.priority.simulation import queues
from services.review.priority import NAME, Priority
from shared.listed import COLUMNS

pytestmark = pytest.mark.training
LABELS = ["Insurance", "Parties"]
CONTRACTS = 20
PASSAGES = 6
CONFIG = """
version = "0.1.0"
[data]
adapter = "toy"
licence = "ours"
[forest]
trees = 30
leaves = 4
learning_rate = 0.2
least_rows = 3
share_of_columns = 0.8
share_of_rows = 0.9
ridge = 1.0
bins = 63
seed = 1
seeds = 2
threads = 1
[linear]
strength = 0.05
"""
ADAPTER = """
version = "7.8.9"
[data]
training = "contracts.jsonl.gz"
"""
SCORES = {"thresholds": {"best_f1": 0.3}, "calibration": {}}


def contract(number: int) -> tuple[dict[str, Any], list[list[float]]]:
    """A contract in which every passage with a number is wrong, however sure the adapter is."""
    draw = np.random.default_rng(number)
    text, notes, spans = "", [], []
    for place in range(PASSAGES):
        wrong = bool(draw.integers(2))
        said = f"clause {place} of 1234" if wrong else "the goods are insured by them"
        start, end = len(text), len(text) + len(said)
        if not wrong:
            notes.append({"category": "Insurance", "start": start, "end": end})
        spans.append([0, start, end, round(float(draw.uniform(0.4, 0.9)), 3)])
        text += said + ". "
    head = {"id": f"c{number}", "title": "t", "family": f"f{number}", "fold": number % 5}
    return head | {"text": text, "annotations": notes}, spans


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data, the predictions of an adapter, and a recipe."""
    made = [contract(number) for number in range(CONTRACTS)]
    specialist, recipe = tmp_path / "models" / "toy", tmp_path / "models" / NAME
    for path in (specialist, recipe):
        path.mkdir(parents=True)
    with gzip.open(tmp_path / "contracts.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record, _ in made)
    for fold in range(5):
        name = specialist / f"predictions-fold{fold}.jsonl.gz"
        with gzip.open(name, "wt", encoding="utf-8") as file:
            file.writelines(
                json.dumps({"id": record["id"], "spans": spans}) + "\n"
                for record, spans in made
                if record["fold"] == fold
            )
    (specialist / "labels.json").write_text(json.dumps(LABELS))
    (specialist / "scores.json").write_text(json.dumps(SCORES))
    (specialist / "config.toml").write_text(ADAPTER)
    (recipe / "config.toml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], bytes]:
    """Train, and return the predictions and the forest."""
    recipe, out = folder / "models" / NAME, folder / "artefacts"
    shutil.rmtree(out, ignore_errors=True)
    arguments = ["--data", folder, "--out", out, "--config", recipe / "config.toml"]
    monkeypatch.setattr(sys, "argv", ["priority", *map(str, arguments)])
    training.main()
    with gzip.open(recipe / "predictions.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    (forest,) = out.glob("*/*/*.onnx")
    return lines, forest.read_bytes()


def test_what_is_wrong_whatever_its_confidence_is_learned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chances of unseen contracts tell the two kinds of passages apart; confidence does not."""
    lines, forest = run(folder, monkeypatch)
    assert len(lines) == CONTRACTS
    assert "insured" not in json.dumps(lines)
    changed = np.array([d != "accept" for line in lines for d in line["decision"]])
    learned = np.array([chance for line in lines for chance in line["learned"]])
    assert changed.any()
    assert not changed.all()
    assert learned[changed].min() > learned[~changed].max()
    few = np.array([chance for line in lines for chance in line["told_less"]])
    assert few[changed].min() < few[~changed].max()
    assert (lines, forest) == run(folder, monkeypatch), "the same data make the same again"


def test_what_ships_says_what_the_forest_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artefact is loaded as it is served, and judges the clauses of its adapter alone."""
    run(folder, monkeypatch)
    priority = Priority.load(folder / "artefacts")
    assert priority.title == f"{NAME} 0.1.0"
    some = list(queues(folder, folder / "models" / "toy"))
    (record, _), queue = contract(0), some[0]
    assert queue.id == record["id"]
    chances = priority.chances(record["text"], queue.clauses)
    assert [chance is not None and chance > 0.5 for chance in chances] == queue.changed.tolist()
    foreign = [clause.model_copy(update={"adapter": "other"}) for clause in queue.clauses]
    assert set(priority.chances(record["text"], foreign)) == {None}


def test_a_contract_is_judged_by_heads_that_had_not_seen_its_fold(folder: Path) -> None:
    """Each lesson leaves out the whole fold that it is then asked about."""
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
    """Beside the columns: log odds, one column a category, and the odds within each."""
    rows = np.zeros((2, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index("confidence")] = 0.75
    rows[1, COLUMNS.index("category")] = 2
    wide = training.spread(rows, categories=3)
    assert wide.shape == (2, len(COLUMNS) + 1 + 3 + 3)
    odds = np.log(3)
    assert wide[:, len(COLUMNS) :] == pytest.approx(
        np.array([[odds, 1, 0, 0, odds, 0, 0], [odds, 0, 0, 1, 0, 0, odds]])
    )
