"""Calibration and intervals of the evaluation, on numbers made up for the purpose."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.evaluate import (
    calibration_error,
    expected_error,
    fit_calibration,
    pooled,
    score,
)
from models.evaluation.judging import ScoredContract
from models.evaluation.predict import Candidate, read_predictions
from services.extraction.pipeline.search import calibrated


def over_confident(size: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores of which only the square is right."""
    draw = np.random.default_rng(seed)
    scores = draw.uniform(0, 1, size)
    return scores, draw.uniform(0, 1, size) < scores**2


def test_calibration_repairs_over_confidence() -> None:
    calibration = fit_calibration(*over_confident(20_000))
    scores, right = over_confident(20_000, seed=4)
    after = np.array([calibrated(s, calibration) for s in scores])
    assert calibration_error(scores, right) > 0.1
    assert calibration_error(after, right) < 0.03


def test_an_expected_error_worked_out_by_hand() -> None:
    """Half of the answers are off by 0.1, half by 0.3."""
    chances = np.array([0.1, 0.1, 0.7, 0.7], np.float32)
    assert expected_error(chances, np.array([0, 0, 1, 1], bool)) == pytest.approx(0.2)


def test_calibration_keeps_the_ranking() -> None:
    scores, right = over_confident(3_000)
    calibration = fit_calibration(scores, ~right)  # even where the data say the opposite
    grid = [calibrated(s, calibration) for s in np.linspace(0.0, 1.0, 2_001)[1:-1]]
    assert all(a < b for a, b in itertools.pairwise(grid))
    assert grid[0] > 0.0
    assert grid[-1] < 1.0


def contract(family: str, *scores: float) -> ScoredContract:
    """Make a contract whose first candidate is right and whose others are not."""
    words = ["the policy", *(f"stray {i}" for i in range(len(scores) - 1))]
    text, candidates, place = "", [], 0
    for word, value in zip(words, scores, strict=True):
        candidates.append(Candidate(0, place, place + len(word), value))
        text += word + " "
        place = len(text)
    matched = [frozenset({0} if i == 0 else ()) for i in range(len(scores))]
    return ScoredContract(family, text, {"Insurance": ["the policy"]}, candidates, matched)


def test_repeated_answers_are_left_out_of_the_calibration() -> None:
    scores = [0.4, 0.9, 0.5, 0.3]
    candidates = [Candidate(int(i == 3), 0, 3, score) for i, score in enumerate(scores)]
    matched = [frozenset({0}), frozenset({0}), frozenset(), frozenset({0})]
    judged = ScoredContract("f", "one", {"A": ["one"], "B": ["one"]}, candidates, matched)
    assert judged.repeated.tolist() == [True, False, False, False]
    kept, right = pooled([judged])
    assert (kept.tolist(), right.tolist()) == ([0.9, 0.5, 0.3], [True, False, True])


def test_scores_are_pooled_with_intervals_around_them() -> None:
    contracts = [contract(f"family {i}", 0.9, 0.2) for i in range(30)]
    result = score(contracts, ["Insurance"])
    assert result["answers"] == 30
    assert result["pooled"]["aupr"] == pytest.approx(1.0)
    for name, (low, high) in result["intervals"].items():
        assert low <= result["pooled"][name] <= high


def test_a_false_but_confident_candidate_costs() -> None:
    contracts = [contract(f"family {i}", 0.5, 0.9) for i in range(30)]
    figures = score(contracts, ["Insurance"])["pooled"]
    assert figures["precision_at_recall_0.8"] == pytest.approx(0.5)


def test_committed_predictions_carry_no_text() -> None:
    root = Path(__file__).resolve().parents[2]
    found = (root / "models" / "clauses").glob("*/predictions-*.jsonl.gz")
    paths = sorted(path for path in found if (path.parent / "labels.json").exists())
    assert len(paths) > 10
    for path in paths:
        predictions = read_predictions(path)
        spans = [c for candidates in predictions.values() for c in candidates]
        assert len(spans) > 1000
        assert all(0 <= c.start < c.end and 0 < c.score < 1 for c in spans)
