"""The folder of an unfinished backup.

A failed backup leaves the blobs that it has copied in `blobs`. The next attempt sets them aside and
moves back those that it needs, so `blobs` only has blobs of the new attempt. There can be millions,
so no list of them is kept in memory.

A dated backup is named by the time at which it began. It reuses the blobs of all failed ones in its
folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from shared.errors import Conflict, SuiteError

BLOBS, EARLIER = "blobs", "blobs-earlier"
PARTIAL = ".partial"
DATED = "%Y-%m-%d-%H%M"
_LEFT = re.compile(r"\d{4}-\d{2}-\d{2}-\d{4}(-\d{1,2})?" + re.escape(PARTIAL))
LOCK = ".lock"  # lock file in a folder of dated backups: NFS can't lock folders


@contextlib.contextmanager
def alone(partial: Path) -> Iterator[None]:
    """Keep other backups out of a folder until the block ends, if its file system has locks. Raises
    Conflict.
    """
    partial.mkdir(parents=True, exist_ok=True)
    handle = os.open(partial, os.O_RDONLY)
    try:
        taken = False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            taken = True
        except OSError:  # no locks here
            pass
        if taken or not partial.exists() or not os.path.samestat(os.fstat(handle), partial.stat()):
            raise Conflict(
                f"another backup is being made in {partial}: wait for it, or name another folder"
            )
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def dated(folder: Path, now: datetime) -> Iterator[Path]:
    """Name a new backup by the time, and give it the blobs of failed dated backups in the same
    folder.

    Raises:
        Conflict: another dated backup is being made there.
        SuiteError: the folder can't be written, or its file system has no locks. Without locks
            nobody can tell a failed backup from a running one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SuiteError(f"{folder} can't be written: {error.strerror}") from None
    try:
        _lock(handle, folder)
        name = now.strftime(DATED)
        names = (name, *(f"{name}-{number}" for number in range(2, 100)))
        target = next((folder / one for one in names if not (folder / one).exists()), folder / name)
        _take_over(folder, target.with_name(target.name + PARTIAL))
        yield target
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict(f"another backup is being made in {folder}: wait for it") from None
    except OSError as error:
        raise SuiteError(
            f"{folder} is on a file system without locks ({error.strerror}): make backups there "
            "without --dated"
        ) from None


def _take_over(folder: Path, partial: Path) -> None:
    """Move the blobs of all failed dated backups to where a new one looks for them."""
    try:
        for failed in sorted(folder.glob(f"*{PARTIAL}")):
            if failed == partial or not _LEFT.fullmatch(failed.name):
                continue
            with contextlib.suppress(Conflict), alone(failed):  # a Conflict: it is still running
                if partial.exists():
                    for name in (BLOBS, EARLIER):
                        _gather(failed / name, partial / BLOBS)
                    shutil.rmtree(failed)
                else:
                    failed.rename(partial)
    except OSError as error:
        raise SuiteError(f"the backup failed: {error}") from error


def keep_blobs(partial: Path) -> None:
    """Keep only the blobs of a failed backup, in one place."""
    for path in partial.glob("*"):
        if path.name not in (BLOBS, EARLIER):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _gather(partial / EARLIER, partial / BLOBS)
    drop_earlier(partial)


def _gather(source: Path, target: Path) -> None:
    """Move every file of a folder to the same path in another one, unless it exists there."""
    for folder, _, names in os.walk(source):
        for path in (Path(folder, name) for name in names):
            where = target / path.relative_to(source)
            if not where.exists():
                moved(path, where)


def set_aside(partial: Path) -> None:
    """Start with no blobs, after `keep_blobs`."""
    if (partial / BLOBS).exists():
        (partial / BLOBS).rename(partial / EARLIER)


def drop_earlier(partial: Path) -> None:
    """Remove blobs that were set aside and not needed: their documents were deleted."""
    if (partial / EARLIER).exists():
        shutil.rmtree(partial / EARLIER)


def moved(source: Path, target: Path) -> None:
    """Move a file, replacing any at the target. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
