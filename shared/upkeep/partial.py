"""The folder of a backup that is being made, and what tries before it have left there.

A backup that breaks off leaves the blobs it has copied in `blobs`. The next try sets them aside,
and moves back what it needs: so what lies in `blobs` is what this try has, and nothing else. There
can be millions, so no list of them is kept in memory.

Who makes a backup each night names none of them: each is named by the time at which it began
(`dated`), and goes on from what those before it have left, which have other names.
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
LOCK = ".lock"
"""In a folder of dated backups: a file, for NFS has no locks for folders."""


@contextlib.contextmanager
def alone(partial: Path) -> Iterator[None]:
    """For the time of the block nobody else makes a backup in the same folder, where the file
    system has locks. Raises Conflict.
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
    """The new folder of a backup among others, named by the time, for the time of the block; what
    dated ones that broke off have left there lies beside it, where the backup finds it.

    Raises:
        Conflict: another dated one is being made there.
        SuiteError: the folder can't be written, or its file system has no locks: whether one that
            is not whole is still at work can't be known then.
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
    """Bring the blobs of all dated backups that broke off to where a new one looks for them."""
    try:
        for left in sorted(folder.glob(f"*{PARTIAL}")):
            if left == partial or not _LEFT.fullmatch(left.name):
                continue
            with contextlib.suppress(Conflict), alone(left):  # else it is at work, under its name
                if partial.exists():
                    for name in (BLOBS, EARLIER):
                        _gather(left / name, partial / BLOBS)
                    shutil.rmtree(left)
                else:
                    left.rename(partial)
    except OSError as error:
        raise SuiteError(f"the backup failed: {error}") from error


def keep_blobs(partial: Path) -> None:
    """Of what a backup that broke off has left, keep the blobs alone, in one place."""
    for path in partial.glob("*"):
        if path.name not in (BLOBS, EARLIER):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _gather(partial / EARLIER, partial / BLOBS)
    drop_earlier(partial)


def _gather(source: Path, target: Path) -> None:
    """Move every file below a folder to the same place below another one that has none there."""
    for folder, _, names in os.walk(source):
        for path in (Path(folder, name) for name in names):
            where = target / path.relative_to(source)
            if not where.exists():
                moved(path, where)


def set_aside(partial: Path) -> None:
    """Begin with no blobs, after `keep_blobs`."""
    if (partial / BLOBS).exists():
        (partial / BLOBS).rename(partial / EARLIER)


def drop_earlier(partial: Path) -> None:
    """Remove what is still aside: its documents were deleted since."""
    if (partial / EARLIER).exists():
        shutil.rmtree(partial / EARLIER)


def moved(source: Path, target: Path) -> None:
    """Move a file, over what is there. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
