"""One process at a time on one data folder."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from shared.errors import SuiteError


class FolderInUse(SuiteError):
    """Another process uses this data folder."""

    code = "folder_in_use"


@dataclass(frozen=True)
class Holder:
    """The process that has the lock of a data folder."""

    process: str  # its process id; `unknown` while it takes or releases the lock
    token: str
    """Identifies this use of the lock, since process ids are reused; empty if `process` is
    `unknown`.
    """


class FolderLock:
    """The lock of a data folder for one block. The system releases it if the process dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.token = secrets.token_hex(16)  # identifies this holder
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take it. Raises FolderInUse, or SuiteError if the folder can't be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SuiteError(
                f"the data folder {self.path.parent} can't be used ({error.strerror}): choose "
                "another with --data"
            ) from None
        if not _taken(handle):
            owner = _holder(handle)
            os.close(handle)
            raise FolderInUse(
                f"process {owner.process} uses the data folder {self.path.parent} already: "
                "stop it, or choose another folder with --data"
            )
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {self.token}\n".encode())
        self._handle = handle
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def holder(folder: Path) -> Holder | None:
    """The process that has the lock of a data folder now; None if it is free."""
    with suppress(OSError), (folder / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(file.fileno())
    return None


def _holder(handle: int) -> Holder:
    """The holder, as written in the lock file."""
    process, _, token = os.read(handle, 100).decode("ascii", "replace").strip().partition(" ")
    return Holder(process or "unknown", token)


def _taken(handle: int) -> bool:
    """Take the lock of an open file. Waits for processes that only test the lock."""
    for pause in (0.02, 0.1, None):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False
