"""A disk that loses unsynced data when the power fails.

A killed process loses no written data, because the kernel still has it. So the services log their
syncs (`write_down_syncs`), and `lose_unsynced` drops the rest after all processes are dead. A file
gets its size at the last sync (0 without one), and disappears if its name was not synced with its
folder. Files overwritten in place keep their content; blobs never are.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

JOURNAL = "synced"
_LIBC = ctypes.CDLL(None, use_errno=True)
_EMPTY_PATH, _BTIME, _AT_BTIME, _BYTES = 0x1000, 0x800, 80, 256
"""For statx(2): flag for an open handle, mask for the creation time, its offset in the answer, and
bytes of the answer.
"""


class Synced(NamedTuple):
    """The last sync of a file or folder."""

    moment: float
    """Start, in seconds since 1970."""
    size: int
    """Size of the file at that time, in bytes."""
    names: frozenset[str] = frozenset()
    """For a folder: its files at that time, as in `_entry`."""


def write_down_syncs(data: Path, blobs: Path) -> None:
    """Log in the journal each file and folder below `blobs` that this process syncs from now on."""
    journal = os.open(data / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.set_inheritable(journal, False)
    os.fsync = _noting(os.fsync, journal, blobs.resolve())  # type: ignore[assignment]


def _noting(sync: Callable[[int], None], journal: int, below: Path) -> Callable[[int], None]:
    def fsync(handle: int) -> None:
        began = now(handle)
        sync(handle)
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(below):
            os.write(journal, line(handle, began).encode())

    return fsync


def now(handle: int) -> Synced:
    """The durable state of an open file or folder after a sync that starts now."""
    kept, names = os.fstat(handle), frozenset[str]()
    if stat.S_ISDIR(kept.st_mode):
        with os.scandir(handle) as entries:
            names = frozenset(_entry(one.name, one.inode()) for one in entries if one.is_file())
    return Synced(time.time(), kept.st_size, names)


def line(handle: int, synced: Synced) -> str:
    """The journal line of one sync."""
    return " ".join((_who(handle), f"{synced.moment} {synced.size}", *synced.names)) + "\n"


def lose_unsynced(data: Path, blobs: Path) -> int:
    """Drop unsynced data after all writers are dead. Returns the number of affected files."""
    synced = _read(data / JOURNAL)
    hit = 0
    for path in [path for path in blobs.rglob("*") if path.is_file()]:
        kept = path.stat()
        if not kept.st_size:
            continue
        last = synced.get(_who_is(path), Synced(0.0, 0))
        folder = synced.get(_who_is(path.parent), Synced(0.0, 0))
        if last.size and _entry(path.name, kept.st_ino) not in folder.names:
            path.unlink()
        elif kept.st_size > last.size:
            os.truncate(path, last.size)
        else:
            continue
        hit += 1
    return hit


def _read(journal: Path) -> dict[str, Synced]:
    """The last sync of each file and folder, by `_who`."""
    synced: dict[str, Synced] = {}
    for entry in journal.read_text().splitlines() if journal.exists() else ():
        who, moment, size, *names = entry.split()
        one = Synced(float(moment), int(size), frozenset(names))
        if one.moment >= synced.get(who, one).moment:
            synced[who] = one
    return synced


def _entry(name: str, inode: int) -> str:
    """The identity of a file in its folder. Writing it again changes its times."""
    return f"{name}:{inode}"


def _who(handle: int) -> str:
    """Identifies an open file or folder: inode (may be reused) and time of creation (0 if
    unknown).
    """
    answer = ctypes.create_string_buffer(_BYTES)
    failed = _LIBC.statx(handle, b"", _EMPTY_PATH, _BTIME, answer)
    seconds, nanoseconds = (0, 0) if failed else struct.unpack_from("<qI", answer, _AT_BTIME)
    return f"{os.fstat(handle).st_ino}.{seconds}.{nanoseconds}"


def _who_is(path: Path) -> str:
    handle = os.open(path, os.O_RDONLY)
    try:
        return _who(handle)
    finally:
        os.close(handle)
