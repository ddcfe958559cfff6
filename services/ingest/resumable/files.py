"""Received bytes of resumable uploads: a file each, in the folder of the tenant's blobs.

The length of the file is the offset of the upload, so bytes of a killed process count and no row
has to agree. A writing request holds the file's lock (flock), which ends with its process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from services.ingest.resumable.domain import PartialUpload, UploadBusy, UploadGone
from shared.blobs.protocol import folder_of
from shared.errors import Unavailable


class PartialFiles:
    """Files at `<blobs>/<tenant>/uploads/<id>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, upload: PartialUpload) -> None:
        with available(upload):
            path = self._path(upload)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)

    def size(self, upload: PartialUpload) -> int:
        """Return the number of received bytes. Raises UploadGone."""
        with available(upload):
            return self._path(upload).stat().st_size

    @contextlib.contextmanager
    def open_locked(self, upload: PartialUpload) -> Iterator[FileIO]:
        """Open the file at its end, exclusively.

        Raises UploadBusy if another request has it, UploadGone if there is none.
        """
        with available(upload), self._path(upload).open("r+b", buffering=0) as file:
            _lock(file, upload)
            if not self._path(upload).exists():
                raise _gone(upload)  # just removed
            file.seek(0, os.SEEK_END)
            yield file

    def remove(self, upload: PartialUpload) -> None:
        """Remove the file. Raises UploadBusy while a request writes to it."""
        with contextlib.suppress(UploadGone), self.open_locked(upload):
            self.unlink(upload)

    def unlink(self, upload: PartialUpload) -> None:
        """Remove a file that the caller has open."""
        with available(upload):
            self._path(upload).unlink(missing_ok=True)

    def _path(self, upload: PartialUpload) -> Path:
        return self.root / folder_of(upload.tenant) / "uploads" / upload.id


def _lock(file: FileIO, upload: PartialUpload) -> None:
    """Lock without waiting: requests wait in the routes, without a thread."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadBusy(
            f"Another request is writing to upload {upload.id}. Ask for its offset in a moment."
        ) from None


def _gone(upload: PartialUpload) -> UploadGone:
    return UploadGone(f"There is no upload {upload.id}. Begin a new one.")


@contextlib.contextmanager
def available(upload: PartialUpload) -> Iterator[None]:
    """Turn a missing file into UploadGone and a failing disk into Unavailable."""
    try:
        yield
    except FileNotFoundError:
        raise _gone(upload) from None
    except OSError as error:
        raise Unavailable(
            f"The bytes of upload {upload.id} can't be stored ({error.strerror or error})."
            " Check the disk, then resume the upload."
        ) from error
