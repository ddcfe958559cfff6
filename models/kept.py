"""What a long learning that was cut off goes on from: fits and arrays, kept as they are made.

Each is a file or a folder of its own, there whole or not at all, so that several processes may make
them side by side. What was made of other things lies in another folder, by the digest of these.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forest import Booster

Array = NDArray[Any]
Job = Callable[[], object]
LARGE = 1_000_000
"""Bytes from which on an array is read from the disk as it is needed."""


class Kept:
    """A folder of what was made so far."""

    def __init__(self, folder: Path, made_of: object) -> None:
        """Take the part of a folder that belongs to what it is made of.

        Args:
            folder: of all that is kept.
            made_of: everything that decides the results, but for the code; as JSON.
        """
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def fit(self, name: str, make: Callable[[], Booster]) -> Booster:
        """Return the fit of a name; made, if it is not kept."""
        path = self.folder / f"{name}.txt"
        if not path.exists():
            partial = path.with_suffix(f".partial{os.getpid()}")
            partial.write_text(make().model_to_string(), encoding="utf-8")
            partial.replace(path)
        return Booster(model_str=path.read_text(encoding="utf-8"))

    def arrays(self, name: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
        """Return the arrays of a name; made, if they are not kept. Those that are LARGE stay on
        the disk, and can't be written to.
        """
        folder = self.folder / name
        if not folder.exists():
            partial = self.folder / f"{name}.partial{os.getpid()}"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for key, value in make().items():
                np.save(partial / f"{key}.npy", value, allow_pickle=False)
            partial.rename(folder)
        return {path.stem: _read(path) for path in folder.glob("*.npy")}


def _read(path: Path) -> Array:
    large = path.stat().st_size >= LARGE
    return np.asarray(np.load(path, mmap_mode="r" if large else None))


def made(_name: str, make: Callable[[], Booster]) -> Booster:
    """Make a fit and keep it nowhere: what stands for `Kept.fit` where there is no folder."""
    return make()


_jobs: list[Job] = []  # of a copy of this process


def _take(jobs: Sequence[Job]) -> None:
    _jobs[:] = jobs


def _do(place: int) -> None:
    _jobs[place]()


def side_by_side(jobs: Sequence[Job], processes: int) -> None:
    """Do jobs in copies of this process, each on one processor; what they make they must keep.

    Args:
        jobs: this process must not have asked LightGBM for anything that takes threads before:
            its copies would wait for them for ever.
        processes: how many at a time; with one they are done here, in turn.
    """
    if processes == 1:
        for job in jobs:
            job()
        return
    copies = ProcessPoolExecutor(
        processes, get_context("fork"), initializer=_take, initargs=(jobs,)
    )
    with copies as pool:
        for one in [pool.submit(_do, place) for place in range(len(jobs))]:
            one.result()
