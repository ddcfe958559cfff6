"""Forests of decision trees: the fitted and the served trees agree."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("onnx")
library("lightgbm")

import onnx

from models.forest import fit, fit_forest, graph, predict
from shared.inference.errors import AdapterError
from shared.inference.session import Forest
from tests.models.builders import FOREST

pytestmark = pytest.mark.training


def lesson(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of which the first two columns decide."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(size, 5)).astype(np.float32)
    return rows, (rows[:, 0] * rows[:, 1] > 0).astype(float)


def test_a_forest_learns_from_two_columns_together(tmp_path: Path) -> None:
    rows, target = lesson(3000, 1)
    fits = fit_forest(rows, target, FOREST | {"trees": 60, "seed": 1, "seeds": 2})
    unseen, truth = lesson(500, 2)
    fitted = predict(fits, unseen)
    assert ((fitted > 0.5) == truth).mean() > 0.9
    onnx.save(graph(fits, 5), tmp_path / "first.onnx")
    forest = Forest(tmp_path / "first.onnx")
    assert forest.columns == 5
    assert forest(unseen) == pytest.approx(fitted, abs=1e-6)


def test_a_value_on_the_border_goes_the_same_way_in_both(tmp_path: Path) -> None:
    rows, target = lesson(500, 3)
    booster = fit(rows, target, np.ones(len(rows)), 20, FOREST, 1)
    onnx.save(graph([booster], 5), tmp_path / "first.onnx")
    lines = re.findall(r"^threshold=(.*)$", booster.model_to_string(), re.MULTILINE)
    borders = np.array(" ".join(lines).split(), np.float32)
    assert len(borders) > 20
    values = np.concatenate([np.nextafter(borders, -9), borders, np.nextafter(borders, 9)])
    tried = np.tile(values[:, None], (1, 5)).astype(np.float32)
    assert Forest(tmp_path / "first.onnx")(tried) == pytest.approx(predict([booster], tried))


def test_a_file_that_is_no_forest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "first.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(AdapterError, match=r"first\.onnx.*export the adapter again"):
        Forest(path)
