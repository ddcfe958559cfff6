"""Blob stores under test, and helpers that damage them directly."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from infra.servers.s3 import Server
from shared.blobs import BlobStore, FileBlobs
from shared.blobs.files import MARKER
from shared.blobs.s3 import S3Blobs


class Breaks(io.RawIOBase):
    def __init__(self, good: int) -> None:
        self.remaining = good

    def read(self, size: int = -1) -> bytes:
        if self.remaining <= 0:
            raise OSError("the upload broke off")
        self.remaining -= size
        return b"x" * size


class Once(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._left.read(size)


def once(data: bytes) -> BinaryIO:
    return cast(BinaryIO, Once(data))


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@dataclass
class Place:
    folder: Path
    url: str = ""
    server: Server | None = None

    def store(self, owner: str = "") -> BlobStore:
        return S3Blobs(self.url, owner) if self.url else FileBlobs(self.folder, owner)

    def stored(self) -> dict[str, Path]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {
            path.relative_to(self.folder).as_posix(): path for path in found if path.name != MARKER
        }

    def forge(self, key: str, data: bytes) -> None:
        if self.url:
            blobs = S3Blobs(self.url)
            blobs._client.put_object(Bucket=blobs.bucket, Key=blobs.prefix + key, Body=data)
        else:
            (self.folder / key).write_bytes(data)
