"""One process at a time on one data folder."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.errors import SuiteError


class FolderInUse(SuiteError):
    """Another process works on this data folder."""

    code = "folder_in_use"


@dataclass(frozen=True)
class Holder:
    """Who has the lock of a data folder."""

    process: str
    """Its number; `unknown` in the moment in which it takes the lock or lets go of it."""
    token: str
    """Of this one time that the lock was taken, since numbers of processes come again; empty where
    `process` is unknown.
    """


class FolderLock:
    """Held for the time of the block; the system lets go of it when the process dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.token = secrets.token_hex(16)
        """Tells this holder from all others."""
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
            owner = _said(handle)
            os.close(handle)
            raise FolderInUse(
                f"process {owner.process} works on the data folder {self.path.parent} already: "
                "stop it, or choose another folder with --data"
            )
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {self.token}\n".encode())
        self._handle = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def holder(folder: Path) -> Holder | None:
    """Who has the lock of a data folder now; None if nobody has it."""
    with suppress(OSError), (folder / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _said(file.fileno())
    return None


def _said(handle: int) -> Holder:
    """What whoever has the lock wrote into it."""
    process, _, token = os.read(handle, 100).decode("ascii", "replace").strip().partition(" ")
    return Holder(process or "unknown", token)


def _taken(handle: int) -> bool:
    """Take the lock of an open file, past those who just ask whether somebody has it."""
    for pause in (0.02, 0.1, None):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False
