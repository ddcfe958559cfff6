"""Learning which candidates to believe, on contracts made up for the purpose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support import library

library("lightgbm")
library("onnx")

from models.ranking import Example, learn, new_answers, predictions
from services.extraction.candidates import SOURCES, Candidates
from services.extraction.ranking import Seen, contest

pytestmark = pytest.mark.training
SETTINGS = {
    "threads": 1,
    "groups": 2,
    "seeds": 1,
    "seed": 5,
    "trees": 40,
    "trees_of_losers": 40,
    "leaves": 8,
    "learning_rate": 0.2,
    "least_rows": 5,
    "share_of_columns": 1.0,
    "share_of_rows": 0.8,
    "ridge": 1.0,
    "bins": 63,
    "hopeless": 0.05,
    "share_of_hopeless": 0.5,
}


def example(number: int) -> Example:
    """Make a contract of 60 stretches, two by two overlapping; a column tells the right ones.

    The right one of a pair is the shorter; half of the pairs have none.
    """
    draw = np.random.default_rng(number)
    pairs = 30
    first = np.repeat(np.arange(pairs) * 10, 2)
    end = first + np.tile([4, 8], pairs)
    answered = np.repeat(draw.random(pairs) < 0.5, 2)
    right = answered & (np.tile([0, 1], pairs) == 0)
    hint = (answered + draw.normal(scale=0.3, size=2 * pairs)).astype(np.float32)
    zero = np.zeros(2 * pairs, np.int64)
    found = Candidates(zero, first, end, zero, zero, np.zeros((2 * pairs, SOURCES), bool))
    rows = np.column_stack([hint, end - first]).astype(np.float32)
    matched = [frozenset({i // 2} if yes else ()) for i, yes in enumerate(right)]
    seen = Seen(found, np.column_stack([first, end]), ("highest", "length"), rows, 400)
    return Example(f"c{number}", number % 5, seen, matched, np.array([right.any()]))


@pytest.mark.parametrize("folds", [range(5), (0, 2)])
def test_what_is_learned_ranks_unseen_contracts(folds: Sequence[int]) -> None:
    """The right stretches of contracts that were not learned from come before the wrong ones."""
    seen = [example(i) for i in range(100) if i % 5 in folds][:40]
    ranking = learn(seen, SETTINGS).ranking(0.7)
    unseen = example(99)
    scores = ranking.scores(unseen.seen.found, unseen.seen.rows)
    right = unseen.right
    assert np.median(scores[right]) > 0.7 > 0.1 > np.median(scores[~right])


def test_a_loser_is_right_only_if_its_answer_is_new() -> None:
    """A second find of one answer teaches nothing, a false one counts against, a new one for."""
    first, end = np.array([0, 2, 4, 6]), np.array([10, 8, 12, 14])
    zero = np.zeros(4, np.int64)
    found = Candidates(zero, first, end, zero, zero, np.zeros((4, SOURCES), bool))
    matched = [frozenset({0}), frozenset({0}), frozenset(), frozenset({0, 1})]
    rows = np.zeros((4, 1), np.float32)
    seen = Seen(found, np.column_stack([first, end]), ("highest",), rows, 14)
    made = Example("c", 0, seen, matched, np.array([True]))
    result = contest(found, np.array([0.9, 0.8, 0.7, 0.6], np.float32))
    assert result.winners.tolist() == [True, False, False, False]
    goals = new_answers(made, result)
    assert np.isnan(goals[0])
    assert goals[1:].tolist() == [0.0, 1.0]


def test_predictions_are_offsets_and_scores() -> None:
    """What is written holds no text, and nothing hopeless."""
    contracts = [example(i) for i in range(10)]
    ranking = learn(contracts, SETTINGS).ranking(0.7)
    scores = {e.id: ranking.scores(e.seen.found, e.seen.rows) for e in contracts}
    written = dict(predictions(contracts, scores))
    assert set(written) == {f"c{i}" for i in range(10)}
    assert all(0.001 < c.score < 1 for found in written.values() for c in found)
