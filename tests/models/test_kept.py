"""A learning that was cut off goes on from what it had made, and from nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("lightgbm")

from models.forest import Booster, fit, predict
from models.kept import LARGE, Kept, side_by_side
from tests.models.test_forest import SETTINGS

pytestmark = pytest.mark.training


def booster(seed: int = 1) -> Booster:
    """A small forest."""
    rows = np.random.default_rng(seed).random((200, 3)).astype(np.float32)
    return fit(rows, rows[:, 0] > rows[:, 1], np.ones(200), 10, SETTINGS, seed)


def never() -> Booster:
    """What must not be made again."""
    raise AssertionError("it was kept")


def test_a_fit_is_made_once_and_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    """To the last bit, also for another process that goes on later."""
    rows = np.random.default_rng(9).random((50, 3)).astype(np.float32)
    one = booster()
    Kept(tmp_path, ["a"]).fit("first", lambda: one)
    again = Kept(tmp_path, ["a"]).fit("first", never)
    assert (predict([again], rows) == predict([one], rows)).all()


def test_what_was_made_of_other_things_is_not_taken(tmp_path: Path) -> None:
    """Another setting, another folder; what was there stays for whoever goes back to it."""
    Kept(tmp_path, {"trees": 10}).fit("first", booster)
    with pytest.raises(AssertionError, match="kept"):
        Kept(tmp_path, {"trees": 11}).fit("first", never)
    Kept(tmp_path, {"trees": 10}).fit("first", never)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    """Large ones from the disk, empty ones and names too; the maker is asked once."""
    made: dict[str, np.ndarray] = {
        "large": np.arange(LARGE, dtype=np.float32),
        "empty": np.zeros((0, 2), np.int64),
        "names": np.array(["a", "longer"]),
    }
    kept = Kept(tmp_path, [])
    for make in (lambda: made, dict):
        found = kept.arrays("one", make)
        assert set(found) == set(made)
        assert all(np.array_equal(found[name], made[name]) for name in made)


def test_what_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    """Half an array, or half a fit, is not taken for a whole one."""
    kept = Kept(tmp_path, [])

    def cut_off() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.arrays("one", cut_off)
    assert kept.arrays("one", lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_done_side_by_side(tmp_path: Path, processes: int) -> None:
    """Each once; with two in other processes, which share what they keep by the disk alone."""
    kept = Kept(tmp_path, [])
    jobs = [
        lambda name=name: kept.arrays(name, lambda: {"pid": np.array(os.getpid())})
        for name in "abc"
    ]
    side_by_side(jobs, processes)
    pids = {int(kept.arrays(name, dict)["pid"]) for name in "abc"}
    assert (os.getpid() in pids) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_fails_is_heard_of(processes: int) -> None:
    """Its error is that of the whole."""
    with pytest.raises(AssertionError, match="kept"):
        side_by_side([never], processes)
