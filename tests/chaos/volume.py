"""A separate file system of a server (tmpfs, needs root) that can be full for a while.

As on a full disk, existing data can be overwritten, nothing can grow, and the server gets ENOSPC.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

BYTES = 3 << 30
"""Size of the tmpfs; it only uses memory for written data."""
TRIES = 50
"""Attempts to shrink a busy file system."""


class VolumeError(Exception):
    """A file system can't be mounted, shrunk or grown; the message says why."""


class Volume:
    """The file system of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> None:
        """Mount it over the folder, which must be empty. Raises VolumeError."""
        self._run("mount", "-t", "tmpfs", "-o", f"size={BYTES},mode=0755", "smallprint-chaos")

    def unmount(self) -> None:
        """Unmount it, which deletes its content. Raises VolumeError."""
        self._run("umount", "--lazy")

    def fill(self) -> None:
        """Shrink it so that nothing can grow. Raises VolumeError."""
        for _ in range(TRIES):
            state = os.statvfs(self.folder)
            try:
                self._resize((state.f_blocks - state.f_bfree) * state.f_frsize)
                return
            except VolumeError as error:  # it grew meanwhile, or it is empty
                last = error
                time.sleep(0.01)
        raise last

    def free(self) -> None:
        """Restore its size. Raises VolumeError."""
        self._resize(BYTES)

    def _resize(self, size: int) -> None:
        self._run("mount", "-o", f"remount,size={size}")

    def _run(self, *command: str) -> None:
        try:
            done = subprocess.run(
                [*command, str(self.folder)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise VolumeError(f"{command[0]} is not installed") from error
        if done.returncode:
            raise VolumeError(done.stderr.strip())


def volume(folder: Path) -> Volume | None:
    """Mount a file system over an empty folder; None if this process may not mount."""
    made = Volume(folder)
    try:
        made.mount()
    except VolumeError:
        return None
    return made
