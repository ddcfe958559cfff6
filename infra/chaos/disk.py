"""A disk that loses what was not synced when the power fails.

kill -9 alone loses nothing that was written: the kernel still has it. So the services' processes
write down what they sync (`write_down_syncs`), and whoever pulls the plug has killed them all and
then forgets the rest, as a disk may (`lose_unsynced`): a file whose bytes were not synced is empty,
and one that was renamed into a folder which was not synced since is not there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

JOURNAL = "synced"


def write_down_syncs(data: Path, blobs: Path) -> None:
    """From now on, note in the journal which files and folders below `blobs` this process syncs."""
    journal = os.open(data / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.set_inheritable(journal, False)
    os.fsync = _noting(os.fsync, journal, blobs.resolve())  # type: ignore[assignment]


def _noting(sync: Callable[[int], None], journal: int, below: Path) -> Callable[[int], None]:
    def fsync(handle: int) -> None:
        began = time.time()
        sync(handle)
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(below):
            os.write(journal, f"{os.fstat(handle).st_ino} {began}\n".encode())

    return fsync


def lose_unsynced(data: Path, blobs: Path) -> int:
    """What a power cut may do, once nobody writes any more. Returns how many files it hit."""
    synced: dict[int, float] = {}
    journal = data / JOURNAL
    for line in journal.read_text().splitlines() if journal.exists() else ():
        inode, moment = line.split()
        synced[int(inode)] = max(float(moment), synced.get(int(inode), 0.0))
    hit = 0
    for path in [path for path in blobs.rglob("*") if path.is_file()]:
        kept = path.stat()
        if not kept.st_size:
            continue
        if kept.st_ino not in synced:
            os.truncate(path, 0)
        elif kept.st_ctime > synced.get(path.parent.stat().st_ino, 0.0):
            path.unlink()
        else:
            continue
        hit += 1
    return hit
