"""Learning whether a category is there, on numbers made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import library

library("lightgbm")
library("onnx")
library("sklearn")

from models.presence import Evidence, calibration_error, figures, out_of_fold
from tests.models.test_forest import SETTINGS

pytestmark = pytest.mark.training


def contract(number: int) -> Evidence:
    """Make a contract of three labels whose best scores say mostly what is there."""
    draw = np.random.default_rng(number)
    present = draw.random(3) < 0.4
    score = np.clip(present * 0.5 + draw.normal(0.25, 0.1, 3), 0, 1)
    rows = np.column_stack([np.arange(3), score]).astype(np.float32)
    return Evidence(number % 5, rows, present)


def test_unseen_contracts_are_told_apart() -> None:
    """What is there gets a high probability from a fit that had not seen the contract."""
    contracts = [contract(i) for i in range(300)]
    chances = out_of_fold(contracts, SETTINGS | {"trees": 40, "seeds": 1})
    present = np.stack([c.present for c in contracts])
    result = figures(chances, present, ["A", "B", "C"])
    assert result["pooled"]["auc"] > 0.95
    assert result["calibration_error"] < 0.05
    assert result["labels"]["B"]["present"] == int(present[:, 1].sum())


def test_figures_worked_out_by_hand() -> None:
    """Two of three said are there, of four that are there two are said."""
    chances = np.array([[0.9, 0.8, 0.7, 0.1, 0.2, 0.3]], np.float32).T
    present = np.array([[1, 1, 0, 1, 1, 0]], bool).T
    pooled = figures(chances, present, ["A"])["pooled"]
    assert pooled["precision"] == pytest.approx(2 / 3)
    assert pooled["recall"] == pytest.approx(0.5)
    assert pooled["auc"] == pytest.approx(4 / 8)
    assert "auc" not in figures(chances, np.ones((6, 1), bool), ["A"])["pooled"]


def test_what_almost_all_contracts_have_is_familiar() -> None:
    """Of a hundred and one contracts, expected to have 0, 0.01, 0.02 … labels, one has less."""
    chances = np.stack([np.linspace(0, 1, 101)] * 2, axis=1) / 2
    result = figures(chances.astype(np.float32), np.ones((101, 2), bool), ["A", "B"])
    assert result["familiar"] == pytest.approx(0.01)


def test_calibration_error_worked_out_by_hand() -> None:
    """Half of the answers are off by 0.1, half by 0.3."""
    chances = np.array([0.1, 0.1, 0.7, 0.7], np.float32)
    assert calibration_error(chances, np.array([0, 0, 1, 1], bool)) == pytest.approx(0.2)
