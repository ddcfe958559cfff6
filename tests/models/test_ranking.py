"""Learning which candidates to believe, on contracts made up for the purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.builders import FOREST
from tests.support import ROOT, library

library("lightgbm")
library("onnx")

from models.clauses import ranking
from models.clauses.checkpoints import CheckpointFolder
from models.clauses.presence import learn as learn_presence
from models.clauses.ranking import (
    CANDIDATES,
    Example,
    FirstForests,
    Learned,
    evidence_of,
    learn,
    matched_arrays,
    matched_of,
    new_answers,
    predictions,
    rank,
    save,
    seen_arrays,
)
from models.files import read_json
from models.forest import Booster, fit
from services.extraction.pipeline.candidates import SOURCES, Candidates
from services.extraction.pipeline.ranking import (
    PLACE_COLUMNS,
    RIVAL_COLUMNS,
    RankingFeatures,
    column_names,
    compete,
)
from services.extraction.pipeline.reranking import LIST_COLUMNS

pytestmark = pytest.mark.training
SETTINGS = FOREST | {
    "seeds": 1,
    "seed": 5,
    "trees": 40,
    "trees_of_winners": 20,
    "trees_of_losers": 40,
    "share_of_columns": 1.0,
    "hopeless": 0.05,
    "share_of_hopeless": 0.5,
}


def example(number: int) -> Example:
    """Make a contract of 30 overlapping pairs of candidates. A column marks the right ones.

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
    text = " ".join(f"{i:03}" for i in range(400))
    spans = np.column_stack([first * 4, end * 4 - 1])
    seen = RankingFeatures(text, found, spans, ("highest", "length"), rows, 400)
    return Example(f"c{number}", number % 5, seen, matched, np.array([right.any()]))


def learned(examples: Sequence[Example]) -> Learned:
    folds = {example.fold for example in examples}
    return learn(examples, folds, SETTINGS, FirstForests(examples, SETTINGS))


@pytest.mark.parametrize("folds", [range(5), (0, 2)])
def test_the_forests_rank_unseen_contracts(folds: Sequence[int]) -> None:
    ranking = learned([example(i) for i in range(100) if i % 5 in folds][:40]).ranking
    unseen = example(99)
    scores = ranking.scores(unseen.seen)
    right = unseen.right
    assert np.median(scores[right]) > 0.7 > 0.1 > np.median(scores[~right])


def test_a_fit_is_made_once_and_from_its_folds_alone() -> None:
    examples = [example(i) for i in range(20)]
    first = FirstForests(examples, SETTINGS)
    (one,) = first.of(frozenset({0, 1}), 1)
    again, other = first.of(frozenset({0, 1}), 2)
    assert again is one
    assert other.model_to_string() != one.model_to_string()
    alone = FirstForests([e for e in examples if e.fold in (0, 1)], SETTINGS)
    (same,) = alone.of(frozenset({0, 1}), 1)
    assert same.model_to_string() == one.model_to_string()


def test_known_answers_count_for_winners_and_not_for_losers() -> None:
    first, end = np.array([0, 20, 40, 2, 4, 6, 5]), np.array([10, 30, 50, 8, 12, 14, 13])
    zero = np.zeros(7, np.int64)
    found = Candidates(zero, first, end, zero, zero, np.zeros((7, SOURCES), bool))
    matched = [frozenset(some) for some in ([0], [0], [], [0], [], [0, 1], [1])]
    rows, text = np.zeros((7, 1), np.float32), " ".join("abcdefghijklmnopqrstuvwxyz" * 2)
    spans = np.column_stack([first * 2, end * 2 - 1])
    seen = RankingFeatures(text, found, spans, ("highest",), rows, 52)
    made = Example("c", 0, seen, matched, np.array([True]))
    result = compete(seen, np.array([0.9, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4], np.float32))
    assert (result.winners.tolist(), result.losers.tolist()) == ([0, 1, 2], [3, 4, 5, 6])
    of_winners, of_losers = new_answers(made, result)
    assert of_winners.tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)
    assert of_losers.tolist() == pytest.approx([np.nan, 0, 1, np.nan], nan_ok=True)


def test_stored_features_are_enough_for_training(tmp_path: Path) -> None:
    made = example(3)
    arrays = CheckpointFolder(tmp_path, []).arrays(
        "c3", lambda: seen_arrays(made.seen) | matched_arrays(made.matched)
    )
    assert matched_of(arrays["matches"], arrays["answers"]) == made.matched
    found = Candidates(**{name: arrays[name] for name in CANDIDATES})
    assert all(
        np.array_equal(getattr(found, name), getattr(made.seen.found, name)) for name in CANDIDATES
    )
    assert np.array_equal(arrays["rows"], made.seen.rows)
    assert (tuple(arrays["columns"]), int(arrays["tokens"])) == (made.seen.columns, 400)
    some = [frozenset({2, 0}), frozenset(), frozenset({1})]
    assert matched_of(*matched_arrays(some).values()) == some


def ranked(folder: Path, processes: int) -> dict[str, np.ndarray]:
    """Rank made up contracts, each by forests that had not learned from its fold."""
    contracts, kept = [example(i) for i in range(15)], CheckpointFolder(folder, [])
    return rank(contracts, SETTINGS, FirstForests(contracts, SETTINGS, kept.fit), kept, processes)


def test_a_ranking_that_was_cut_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ranked(tmp_path / "whole", 1)
    calls: list[int] = []

    def counted(*given: Any) -> Booster:
        calls.append(len(given))
        if len(calls) == 12:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr(ranking, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        ranked(tmp_path / "stopped", 1)
    again = ranked(tmp_path / "stopped", 1)
    fits = 5 + 10 + 5 * 2  # of four folds, of three, and of winners and losers
    assert len(calls) == fits + 1
    assert again.keys() == whole.keys() == {f"c{i}" for i in range(15)}
    assert all((again[name] == whole[name]).all() for name in whole)
    ranked(tmp_path / "stopped", 1)
    assert len(calls) == fits + 1


def test_ranked_side_by_side_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"from {__name__} import ranked; from pathlib import Path; ranked(Path('side'), 2)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    alone = ranked(tmp_path / "alone", 1)
    contracts = [example(i) for i in range(15)]
    first = FirstForests(contracts, SETTINGS)
    plain = learn(contracts, {1, 2, 3, 4}, SETTINGS, first).ranking.scores(contracts[0].seen)
    assert (plain == alone["c0"]).all()
    monkeypatch.setattr(ranking, "fit", None)
    side = ranked(tmp_path / "side", 1)
    assert all((side[name] == alone[name]).all() for name in alone)


def test_predictions_are_offsets_and_scores() -> None:
    contracts = [example(i) for i in range(10)]
    ranking = learned(contracts).ranking
    scores = {e.id: ranking.scores(e.seen) for e in contracts}
    written = dict(predictions(contracts, scores))
    assert set(written) == {f"c{i}" for i in range(10)}
    assert all(0.001 < c.score <= 1 for found in written.values() for c in found)


def test_forests_of_another_ranking_are_not_left_among_the_new(tmp_path: Path) -> None:
    contracts = [example(i) for i in range(10)]
    evidence = [evidence_of(e, np.full(len(e.matched), 0.5, np.float32)) for e in contracts]
    presence = learn_presence(evidence, SETTINGS)
    (tmp_path / "second.onnx").write_bytes(b"old")
    save(tmp_path, learned(contracts), presence, ("highest", "length"), 1)
    names = {path.stem for path in tmp_path.glob("*.onnx")}
    assert names == {"first", "winners", "losers", "presence"}
    columns = read_json(tmp_path / "columns.json")
    assert columns == list(column_names(("highest", "length")))
    more = len(PLACE_COLUMNS) + len(RIVAL_COLUMNS) + len(LIST_COLUMNS)
    assert len(set(columns)) == 2 + more
