"""A learning that was cut off goes on from what it had made, and from nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("lightgbm")

from models.clauses.checkpoints import LARGE, CheckpointFolder, side_by_side
from models.forest import Booster, fit, predict
from tests.models.builders import FOREST

pytestmark = pytest.mark.training


def booster() -> Booster:
    rows = np.random.default_rng(1).random((200, 3)).astype(np.float32)
    return fit(rows, rows[:, 0] > rows[:, 1], np.ones(200), 10, FOREST, 1)


def never() -> Booster:
    raise AssertionError("it was kept")


def test_a_fit_is_made_once_and_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(9).random((50, 3)).astype(np.float32)
    one = booster()
    CheckpointFolder(tmp_path, ["a"]).fit("first", lambda: one)
    again = CheckpointFolder(tmp_path, ["a"]).fit("first", never)
    assert (predict([again], rows) == predict([one], rows)).all()


def test_results_of_other_settings_are_not_used(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path, {"trees": 10}).fit("first", booster)
    with pytest.raises(AssertionError, match="kept"):
        CheckpointFolder(tmp_path, {"trees": 11}).fit("first", never)
    CheckpointFolder(tmp_path, {"trees": 10}).fit("first", never)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    made: dict[str, np.ndarray] = {
        "large": np.arange(LARGE, dtype=np.float32),
        "empty": np.zeros((0, 2), np.int64),
        "names": np.array(["a", "longer"]),
    }
    kept = CheckpointFolder(tmp_path, [])
    for make in (lambda: made, dict):
        found = kept.arrays("one", make)
        assert set(found) == set(made)
        assert all(np.array_equal(found[name], made[name]) for name in made)


def test_an_interrupted_result_is_made_again(tmp_path: Path) -> None:
    kept = CheckpointFolder(tmp_path, [])

    def cut_off() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.arrays("one", cut_off)
    assert kept.arrays("one", lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_done_side_by_side(tmp_path: Path, processes: int) -> None:
    kept = CheckpointFolder(tmp_path, [])
    jobs = [
        lambda name=name: kept.arrays(name, lambda: {"pid": np.array(os.getpid())})
        for name in "abc"
    ]
    side_by_side(jobs, processes)
    pids = {int(kept.arrays(name, dict)["pid"]) for name in "abc"}
    assert (os.getpid() in pids) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_error_of_a_job_is_raised(processes: int) -> None:
    with pytest.raises(AssertionError, match="kept"):
        side_by_side([never], processes)
