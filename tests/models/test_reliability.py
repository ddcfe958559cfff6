"""Calibration errors are of folds that no map was fitted on, and are drawn as they were counted."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from models.evaluation.reliability import (
    compared,
    cross_fitted,
    drawn,
    errors_of,
    tenths,
)

HERE = "{http://www.w3.org/2000/svg}"


def too_sure(many: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chances twice as far from even odds as they should be, of two categories and four folds."""
    draw = np.random.default_rng(3)
    odds = draw.normal(0, 1.5, many)
    right = (draw.random(many) < 1 / (1 + np.exp(-odds))).astype(float)
    number = np.arange(many)
    return 1 / (1 + np.exp(-2 * odds)), right, number % 2, number // 2 % 4


def test_a_map_repairs_overconfident_probabilities() -> None:
    chance, right, label, fold = too_sure()
    found = compared(chance, right, label, fold)
    assert found["none"]["error"] == errors_of(chance, right)["error"] > 0.08
    for name, one in found.items():
        if name != "none":
            assert one["error"] < 0.04, name
            assert one["brier"] < found["none"]["brier"], name


@pytest.mark.parametrize("name", ["isotonic, pooled", "Platt, by category", "beta, pooled"])
def test_results_of_a_fold_do_not_change_its_own_probabilities(name: str) -> None:
    chance, right, label, fold = too_sure(800)
    before = cross_fitted(name, chance, right, label, fold)
    here = fold == 1
    after = cross_fitted(name, chance, np.where(here, 1 - right, right), label, fold)
    assert (after[here] == before[here]).all()
    assert (after[~here] != before[~here]).any()


def test_tenths_count_everything_once() -> None:
    """Chances of 1 are in the last; tenths that have none are left out."""
    belief = np.array([0.0, 0.05, 0.55, 1.0, 1.0])
    rows = tenths(belief, np.array([0.0, 1.0, 1.0, 1.0, 0.0]))
    assert rows == [[2, 0.025, 0.5], [1, 0.55, 1.0], [2, 1.0, 0.5]]
    assert errors_of(belief, belief)["error"] == 0


def test_a_point_is_drawn_at_its_belief_and_share() -> None:
    drawing = ElementTree.fromstring(drawn({"a <b": [(10, 0.0, 0.0), (40, 0.5, 1.0)], "c": []}))
    low, high = drawing.iter(f"{HERE}circle")
    _, frame, _ = drawing.findall(f"{HERE}rect")
    left, top, side = (float(frame.attrib[key]) for key in ("x", "y", "width"))
    assert (float(low.attrib["cx"]), float(low.attrib["cy"])) == (left, top + side)
    assert (float(high.attrib["cx"]), float(high.attrib["cy"])) == (left + side / 2, top)
    assert float(high.attrib["r"]) == pytest.approx(2 * float(low.attrib["r"]))
    assert "a <b" in [text.text for text in drawing.iter(f"{HERE}text")]
