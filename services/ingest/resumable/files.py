"""The bytes of uploads that have come so far: a file each, in the folder of the tenant's blobs.

How far an upload is, is how long its file is: what a killed process has written counts, and no row
has to be kept in step. A request that writes holds the file's lock (flock), so two never mix, in
whatever processes they are; a lock ends with its process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from services.ingest.resumable.domain import PartialUpload, UploadBusy, UploadGone
from shared.errors import Unavailable
from shared.storage.blobs import folder_of


class PartialFiles:
    """The folder of the files: `<blobs>/<tenant>/uploads/<id>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, upload: PartialUpload) -> None:
        """An empty file. Raises Unavailable where the disk does not take it."""
        with available(upload):
            path = self._path(upload)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)

    def size(self, upload: PartialUpload) -> int:
        """Bytes that have come. Raises UploadGone."""
        with available(upload):
            return self._path(upload).stat().st_size

    @contextlib.contextmanager
    def held(self, upload: PartialUpload) -> Iterator[FileIO]:
        """The file, to be read and written at its end by nobody else for the time of the block.

        Raises UploadBusy if somebody else has it, UploadGone if there is none.
        """
        with available(upload), self._path(upload).open("r+b", buffering=0) as file:
            _lock(file, upload)
            if not self._path(upload).exists():
                raise _gone(upload)  # removed a moment ago
            file.seek(0, os.SEEK_END)
            yield file

    def remove(self, upload: PartialUpload) -> None:
        """Remove the file, unless somebody writes to it now: then UploadBusy."""
        with contextlib.suppress(UploadGone), self.held(upload):
            self.unlink(upload)

    def unlink(self, upload: PartialUpload) -> None:
        """Remove the file of an upload that the caller holds."""
        with available(upload):
            self._path(upload).unlink(missing_ok=True)

    def _path(self, upload: PartialUpload) -> Path:
        return self.root / folder_of(upload.tenant) / "uploads" / upload.id


def _lock(file: FileIO, upload: PartialUpload) -> None:
    """At once or not at all: whoever waits for it does so without a thread, see the routes."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadBusy(
            f"another request writes to upload {upload.id}: ask for its offset in a moment"
        ) from None


def _gone(upload: PartialUpload) -> UploadGone:
    return UploadGone(f"there is no upload {upload.id} any more: begin a new one")


@contextlib.contextmanager
def available(upload: PartialUpload) -> Iterator[None]:
    """A file that is not there is UploadGone; a disk that is full or away is Unavailable."""
    try:
        yield
    except FileNotFoundError:
        raise _gone(upload) from None
    except OSError as error:
        raise Unavailable(
            f"the bytes of upload {upload.id} can't be kept: {error.strerror or error}: see to the"
            " disk, and go on with the upload then"
        ) from error
