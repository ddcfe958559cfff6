"""Store fits and arrays of a long training, so that it can resume after a stop.

Each result is written as a whole or not at all, so several processes can share a folder. Results of
other settings are in another folder, named by a digest of the settings.
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
"""Arrays from this size on, in bytes, are memory-mapped."""


class CheckpointFolder:
    """Folder of the results of a training so far."""

    def __init__(self, folder: Path, made_of: object) -> None:
        """Open the part of a folder that belongs to these settings.

        Args:
            made_of: everything that decides the results except the code; as JSON.
        """
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def fit(self, name: str, make: Callable[[], Booster]) -> Booster:
        """Return a stored fit; make and store it if it is missing."""
        path = self.folder / f"{name}.txt"
        if not path.exists():
            partial = path.with_suffix(f".partial{os.getpid()}")
            partial.write_text(make().model_to_string(), encoding="utf-8")
            partial.replace(path)
        return Booster(model_str=path.read_text(encoding="utf-8"))

    def arrays(self, name: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
        """Return stored arrays, or make and store them; large ones are read-only maps."""
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


def without_storing(_name: str, make: Callable[[], Booster]) -> Booster:
    """Make a fit without storing it: replaces `CheckpointFolder.fit` if there is no folder."""
    return make()


_jobs: list[Job] = []  # of a forked process


def _take(jobs: Sequence[Job]) -> None:
    _jobs[:] = jobs


def _do(index: int) -> None:
    _jobs[index]()


def side_by_side(jobs: Sequence[Job], processes: int) -> None:
    """Run jobs in forks of this process, each on one processor; jobs store their results.

    Args:
        jobs: LightGBM must not have started threads in this process, or the forks would hang.
        processes: jobs at a time; with 1 they run in this process.
    """
    if processes == 1:
        for job in jobs:
            job()
        return
    copies = ProcessPoolExecutor(
        processes, get_context("fork"), initializer=_take, initargs=(jobs,)
    )
    with copies as pool:
        for entry in [pool.submit(_do, index) for index in range(len(jobs))]:
            entry.result()
