"""Learning whether a category is there, on numbers made up for the purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import ROOT, library

library("lightgbm")
library("onnx")
library("sklearn")

from models.clauses.presence import (
    CALIBRATION,
    PREDICTIONS,
    Chances,
    Evidence,
    calibration,
    figures,
    out_of_fold,
    read_chances,
    write_chances,
)
from models.files import read_json
from tests.models.builders import FOREST

pytestmark = pytest.mark.training


def contract(number: int) -> Evidence:
    """Make a contract of three labels whose best scores say mostly what is there."""
    draw = np.random.default_rng(number)
    present = draw.random(3) < 0.4
    score = np.clip(present * 0.5 + draw.normal(0.25, 0.1, 3), 0, 1)
    rows = np.column_stack([np.arange(3), score]).astype(np.float32)
    return Evidence(number % 5, rows, present)


def test_unseen_contracts_are_distinguished() -> None:
    contracts = [contract(i) for i in range(300)]
    chances = out_of_fold(contracts, FOREST | {"trees": 40, "seeds": 1})
    present = np.stack([c.present for c in contracts])
    result = figures(chances, present, ["A", "B", "C"])
    assert result["pooled"]["auc"] > 0.95
    assert result["calibration_error"] < 0.05
    assert result["labels"]["B"]["present"] == int(present[:, 1].sum())


def test_figures_worked_out_by_hand() -> None:
    chances = np.array([[0.9, 0.8, 0.7, 0.1, 0.2, 0.3]], np.float32).T
    present = np.array([[1, 1, 0, 1, 1, 0]], bool).T
    pooled = figures(chances, present, ["A"])["pooled"]
    assert pooled["precision"] == pytest.approx(2 / 3)
    assert pooled["recall"] == pytest.approx(0.5)
    assert pooled["auc"] == pytest.approx(4 / 8)
    assert "auc" not in figures(chances, np.ones((6, 1), bool), ["A"])["pooled"]


def test_the_familiar_threshold_is_what_99_of_100_contracts_exceed() -> None:
    chances = np.stack([np.linspace(0, 1, 101)] * 2, axis=1) / 2
    result = figures(chances.astype(np.float32), np.ones((101, 2), bool), ["A", "B"])
    assert result["familiar"] == pytest.approx(0.01)


def chances(contracts: int = 500) -> Chances:
    """Chances of two labels. The second is present more often than its chance."""
    draw = np.random.default_rng(4)
    probabilities = draw.random((contracts, 2))
    present = draw.random((contracts, 2)) < probabilities ** np.array([1.0, 0.25])
    names = tuple(f"c{i}" for i in range(contracts))
    folds = np.arange(contracts) % 5
    return Chances(names, names, folds, probabilities.astype(np.float32), present)


def test_stored_probabilities_are_read_again(tmp_path: Path) -> None:
    made = chances(7)
    write_chances(tmp_path, made, ["A", "B"])
    first = (tmp_path / PREDICTIONS).read_bytes()
    found, labels = read_chances(tmp_path)
    assert (found.ids, found.families, labels) == (made.ids, made.families, ["A", "B"])
    assert found.chances == pytest.approx(made.chances, abs=6e-6)
    assert np.array_equal(found.present, made.present)
    assert np.array_equal(found.folds, made.folds)
    write_chances(tmp_path, made, ["A", "B"])
    assert (tmp_path / PREDICTIONS).read_bytes() == first


@pytest.mark.parametrize("path", sorted((ROOT / "models" / "clauses").glob(f"*/{CALIBRATION}")))
def test_the_figures_are_those_of_the_stored_probabilities(path: Path) -> None:
    folder = path.parent
    found, labels = read_chances(folder)
    committed = read_json(path)
    assert labels == read_json(folder / "labels.json")
    assert calibration(found) == committed
    shipped = read_json(folder / "presence.json")
    assert committed["contracts"] == shipped["contracts"]
    again = figures(found.chances, found.present, labels)
    assert {name: one["present"] for name, one in again["labels"].items()} == {
        name: one["present"] for name, one in shipped["labels"].items()
    }
