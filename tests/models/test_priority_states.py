"""Heads on the base's states: their features, and that none is scored on its training data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.support import artefacts, library

library("lightgbm")
library("sklearn")

from models.base.frozen import FrozenBase
from models.forest import fit
from models.review_priority import heads
from models.review_priority.heads import (
    HeadExamples,
    chosen,
    on_top,
    out_of_fold,
    regression,
    with_parts,
)
from models.review_priority.simulation import Queue
from models.review_priority.states import (
    keep,
    read,
    read_all,
    states_of,
    tokens_of,
    window_of,
)
from tests.models.builders import FOREST

pytestmark = pytest.mark.training
CONFIG = {"states": {"strengths": [1e-3, 1.0], "parts": [2]}, "linear": {"strength": 0.05}}


def test_a_window_is_centred_on_its_clause() -> None:
    assert window_of(50, 54, tokens=100, length=10) == (47, 57)
    assert window_of(1, 3, tokens=100, length=10) == (0, 10)
    assert window_of(97, 99, tokens=100, length=10) == (90, 100)
    assert window_of(20, 60, tokens=100, length=10) == (20, 30)
    assert window_of(2, 4, tokens=6, length=10) == (0, 6)


def test_the_tokens_of_a_clause_are_those_that_lie_over_it() -> None:
    offsets = np.array([[0, 4], [5, 9], [9, 10], [12, 15]])
    spans = np.array([[0, 9], [6, 10], [10, 12], [14, 15], [15, 16]])
    assert tokens_of(spans, offsets).tolist() == [[0, 2], [1, 3], [3, 4], [3, 4], [3, 4]]


def queue(spans: list[tuple[int, int]]) -> Queue:
    clauses = [SimpleNamespace(start=start, end=end) for start, end in spans]
    return cast(Queue, SimpleNamespace(id="c1", clauses=clauses))


def test_states_are_taken_for_the_clauses_that_they_were_made_of_alone(tmp_path: Path) -> None:
    states = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    one = queue([(0, 4), (5, 9)])
    assert read(tmp_path, one) is None
    keep(tmp_path, one, states)
    found = read(tmp_path, one)
    assert found is not None
    assert found.tolist() == states.tolist()
    other = queue([(0, 4), (5, 8)])
    assert read(tmp_path, other) is None
    with pytest.raises(SystemExit, match=r"models\.review_priority\.states"):
        read_all(tmp_path, [one, other])


def test_the_base_reads_a_clause_in_its_place() -> None:
    base = FrozenBase(artefacts())
    clause, far = "the goods are insured", " ".join(["nothing"] * 200)
    texts = [
        f"{far} Alpha shall see that {clause} at its cost. {far}",
        f"{far} It is not so that {clause} by Beta. {far}",
        f"{far} {far} Alpha shall see that {clause} at its cost. {far} {far}",
    ]
    states = []
    for text in texts:
        start = text.index(clause)
        states.append(states_of(base, text, np.array([[start, start + len(clause)]]))[0])
    own, width = [state[: len(state) // 2] for state in states], len(states[0]) // 2
    assert all(len(state) == 2 * width for state in states)
    assert np.abs(own[0] - own[1]).max() > 0.1
    assert own[2] == pytest.approx(own[0], abs=1e-4)


def clauses(many: int = 600, seed: int = 2) -> HeadExamples:
    """Clauses that are changed by a state and a column, five folds of them."""
    draw = np.random.default_rng(seed)
    rows, states = (draw.normal(size=(many, 4)).astype(np.float32) for _ in range(2))
    odds = 3 * rows[:, 0] + 3 * states[:, 1]
    changed = draw.random(many) < 1 / (1 + np.exp(-odds))
    return HeadExamples(rows, rows, states, changed, np.arange(many) % 5)


def forest(rows: Any, changed: Any) -> Any:
    return [fit(rows, changed, np.ones(len(rows)), 40, FOREST, 1)]


def apart(scores: Any, changed: Any) -> float:
    """The share of pairs of a changed and another clause that are in the right order."""
    return float((scores[changed][:, None] > scores[~changed]).mean())


def test_every_head_learns_from_the_states() -> None:
    every = clauses()
    found = {
        name: apart(out_of_fold(every, make), every.changed)
        for name, make in heads.heads(CONFIG, forest).items()
    }
    assert found["states"] > 0.75
    assert all(found[name] > found["states"] + 0.03 for name in found if name != "states")


@pytest.mark.parametrize("name", ["states", "states_linear", "states_parts", "states_forest"])
def test_results_of_a_fold_do_not_change_its_own_probabilities(name: str) -> None:
    every = clauses(200)
    make = heads.heads(CONFIG, forest)[name]
    before, here = out_of_fold(every, make), every.fold == 3
    turned = HeadExamples(every.rows, every.wide, every.states, every.changed ^ here, every.fold)
    after = out_of_fold(turned, make)
    assert (after[here] == before[here]).all()
    assert (after[~here] != before[~here]).any()


def test_the_head_that_loses_least_on_inner_folds_is_chosen() -> None:
    every = clauses()
    draw = np.random.default_rng(1)
    noise = draw.normal(size=(len(every.fold), 80)).astype(np.float32)
    lesson = HeadExamples(every.rows, every.wide, noise, every.changed, every.fold)
    fitted: list[str] = []

    def noted(name: str, strength: float) -> heads.Make:
        make = regression(lambda some: some.states, strength)

        def noting(some: HeadExamples) -> heads.Head:
            if len(some.fold) == len(lesson.fold):
                fitted.append(name)
            return make(some)

        return noting

    chosen({"weak": noted("weak", 1e-4), "strong": noted("strong", 10.0)})(lesson)
    assert fitted == ["weak"]


def test_a_forest_on_top_learns_from_chances_of_other_folds() -> None:
    every = clauses(200)
    lessons: list[int] = []

    def below(some: HeadExamples) -> heads.Head:
        lessons.append(len(some.fold))
        return regression(lambda one: one.states, 1.0)(some)

    on_top(forest, below)(every)
    assert lessons == [160] * 5 + [200]
    assert with_parts(forest, 2)(every)(every).shape == (200,)
