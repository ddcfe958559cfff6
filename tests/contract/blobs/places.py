"""The places under test, and what the tests do with any of them behind the store's back."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from infra.s3.server import Server
from shared.storage import BlobStore, FileBlobs
from shared.storage.blobs import MARKER
from shared.storage.s3 import S3Blobs


class Breaks(io.RawIOBase):
    """A stream that breaks after some bytes."""

    def __init__(self, good: int) -> None:
        self.left = good

    def read(self, size: int = -1) -> bytes:
        """Bytes, then an error."""
        if self.left <= 0:
            raise OSError("the upload broke off")
        self.left -= size
        return b"x" * size


class Once(io.RawIOBase):
    """A stream that can't be rewound, such as what comes from a network."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._left.read(size)


def once(data: bytes) -> BinaryIO:
    """A stream of bytes that is read once."""
    return cast(BinaryIO, Once(data))


def bytes_of(size: int) -> bytes:
    """Bytes that differ from place to place, so that a piece that is lost or moved is noticed."""
    return random.Random(size).randbytes(size)


@dataclass
class Place:
    """Where the blobs of one test lie."""

    folder: Path
    url: str = ""
    server: Server | None = None

    def store(self, owner: str = "") -> BlobStore:
        """The blob store of a service there."""
        return S3Blobs(self.url, owner) if self.url else FileBlobs(self.folder, owner)

    def stored(self) -> dict[str, Path]:
        """Everything that lies there, by its path; the server keeps objects as files too."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {
            path.relative_to(self.folder).as_posix(): path for path in found if path.name != MARKER
        }

    def forge(self, key: str, data: bytes) -> None:
        """Put other bytes in the place of a blob."""
        if self.url:
            blobs = S3Blobs(self.url)
            blobs._client.put_object(Bucket=blobs.bucket, Key=blobs.prefix + key, Body=data)
        else:
            (self.folder / key).write_bytes(data)
