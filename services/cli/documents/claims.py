"""File locks, with which several processes share one folder.

The system releases a lock when its holder dies; on network file systems once the server notices. So
the files of a killed process are free at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import SuiteError

FOLDER = ".claims"


class Claims:
    """Claims on inputs, by their names in a folder of results."""

    def __init__(self, results: Path) -> None:
        self.folder = results / FOLDER

    def require_locks(self) -> None:
        """Test a lock before there is work. Raises SuiteError."""
        try:
            with self.claim(f"\0{os.getpid()}"):
                pass
        except OSError as error:
            raise SuiteError(
                f"files in {self.folder.parent} can't be locked ({error.strerror or error}): "
                "choose a folder on another file system with --out"
            ) from None

    @contextmanager
    def claim(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Claim an input until the block ends. Yields whether it worked.

        `wait`: whether to wait for it.
        """
        path = self.folder / hashlib.sha256(os.fsencode(name)).hexdigest()
        handle = self._take(path, wait)
        try:
            yield handle is not None
        finally:
            if handle is not None:
                path.unlink(missing_ok=True)  # while the lock is held: see _is_there
                os.close(handle)
                with suppress(OSError):  # the folder has a claim of another process
                    self.folder.rmdir()

    def _take(self, path: Path, wait: bool) -> int | None:
        while True:
            try:
                if not self.folder.is_dir():
                    self.folder.mkdir(parents=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except (FileExistsError, FileNotFoundError):
                continue  # other processes make the folder, and the last one removes it
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if _is_there(path, handle):
                    return handle
            except BlockingIOError:
                os.close(handle)
                return None
            except OSError:
                os.close(handle)
                raise
            os.close(handle)


def _is_there(path: Path, handle: int) -> bool:
    """Whether the locked file still exists: its last holder may have removed it."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return False
    locked = os.fstat(handle)
    return (seen.st_dev, seen.st_ino) == (locked.st_dev, locked.st_ino)
