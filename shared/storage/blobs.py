"""Blobs by hash: bytes that are written once, whole or not at all, and shared between the services
of a tenant.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from shared.errors import SuiteError
from shared.events import BlobRef

CHUNK = 1 << 20
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class MissingBlob(SuiteError):
    """The bytes that a row refers to are not in the blob store, or are not what they were."""

    code = "missing_blob"


class BlobStore(Protocol):
    """What services ask of a blob store."""

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """Keep bytes durably; the same bytes again are the same blob."""

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """Keep a stream durably, in bounded memory."""

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """The bytes, checked against their hash. Raises MissingBlob."""

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """The bytes as a stream, unchecked. Raises MissingBlob."""

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """Forget the bytes; nothing happens if they are gone already."""


class FileBlobs:
    """A folder: `<tenant>/<first two of the hash>/<hash>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """See `BlobStore.put`."""
        ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        self._write(self._path(tenant, ref), iter((data,)))
        return ref

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See `BlobStore.put_stream`."""
        folder = self._tenant(tenant) / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            try:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                ref = BlobRef(sha256=digest.hexdigest(), size=size)
                path = self._path(tenant, ref)
                path.parent.mkdir(parents=True, exist_ok=True)
                Path(file.name).replace(path)
                _sync(path.parent)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        return ref

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """See `BlobStore.get`."""
        with self.open(tenant, ref) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise MissingBlob(
                f"blob {ref.sha256} of tenant {tenant} is damaged: restore it from a backup"
            )
        return data

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open`."""
        try:
            return self._path(tenant, ref).open("rb")
        except FileNotFoundError:
            raise MissingBlob(f"blob {ref.sha256} of tenant {tenant} is missing") from None

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See `BlobStore.delete`."""
        self._path(tenant, ref).unlink(missing_ok=True)

    def sweep(self, older: timedelta) -> int:
        """Remove what killed processes left half written, if it is older. Returns how many."""
        before = time.time() - older.total_seconds()
        removed = 0
        for path in self.root.glob("*/incoming/*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
        return removed

    def _tenant(self, tenant: str) -> Path:
        if not _TENANT.fullmatch(tenant):
            raise ValueError(f"not a tenant's name: {tenant!r}")
        return self.root / tenant

    def _path(self, tenant: str, ref: BlobRef) -> Path:
        return self._tenant(tenant) / ref.sha256[:2] / ref.sha256

    def _write(self, path: Path, chunks: Iterator[bytes]) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.parent.parent / "incoming"
        folder.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            try:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
                _sync(path.parent)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def _sync(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
