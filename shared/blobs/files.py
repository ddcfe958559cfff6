"""Blobs in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO

from shared.blobs.protocol import (
    CHUNK,
    PIN_MARKER,
    PINNED_SUFFIX,
    MissingBlob,
    folder_of,
    key_of,
    ref_of_key,
    require_owner,
)
from shared.errors import Unavailable
from shared.events import BlobRef

MARKER = ".smallprint-blobs"
"""File that marks a used folder. Without it, the disk is not mounted."""


class FileBlobs:
    """Blobs in a folder, at the paths of `key_of`.

    Args:
        root: the folder that all services share.
        owner: the service whose blobs are written and deleted; empty for ingest.
    """

    def __init__(self, root: Path, owner: str = "") -> None:
        self.root = root
        self.owner = owner
        self._used = False
        self._durable: set[Path] = set()
        self._guard = threading.RLock()

    def put(self, tenant: str, data: bytes) -> BlobRef:
        sha256 = hashlib.sha256(data).hexdigest()
        ref = BlobRef(sha256=sha256, size=len(data), owner=self.owner)
        path = self._path(tenant, ref)
        with _available(f"blob {sha256} of tenant {tenant}"):
            self._begin()
            if _touched(path):  # the earlier writer may have died before it was durable
                self._make(path.parent)
                _sync(path.parent)
                return ref
            with self._incoming(tenant) as file:
                file.write(data)
                self._finish(file, path)
        return ref

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See `BlobStore.put_stream`. Errors of the stream are raised unchanged."""
        folder_of(tenant)  # refuse an invalid tenant before reading
        subject = f"a new blob of tenant {tenant}"
        digest, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
            with _available(subject):
                self._begin()
                file = stack.enter_context(self._incoming(tenant))
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                with _available(subject):
                    file.write(chunk)
            ref = BlobRef(sha256=digest.hexdigest(), size=size, owner=self.owner)
            with _available(subject):
                self._finish(file, self._path(tenant, ref))
        return ref

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        with self.open(tenant, ref) as file, _available(f"blob {ref.sha256} of tenant {tenant}"):
            data = file.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise MissingBlob(
                f"blob {ref.sha256} of tenant {tenant} is damaged: restore it from a backup"
            )
        return data

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                return self._path(tenant, ref).open("rb")
            except FileNotFoundError:
                self._require_root(f"blob {ref.sha256} of tenant {tenant}")
                raise MissingBlob(
                    f"blob {ref.sha256} of tenant {tenant} is missing: restore it from a backup"
                ) from None

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See `BlobStore.delete`. Raises ValueError for a blob of another service."""
        path = self._path(tenant, ref)
        require_owner(tenant, ref, self.owner)
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                with _deleting(self.root) as held:
                    if held:
                        path.replace(path.with_name(path.name + PINNED_SUFFIX))
                    else:
                        path.unlink()
            except FileNotFoundError:
                self._require_root(f"blob {ref.sha256} of tenant {tenant}")

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """See `BlobStore.delete_older`. A blob put within microseconds of the removal is lost."""
        subject = f"blob {ref.sha256} of tenant {tenant}"
        with _available(subject), contextlib.suppress(FileNotFoundError):
            if self._path(tenant, ref).stat().st_mtime > before.timestamp():
                return False
        self.delete(tenant, ref)
        return True

    def listed(self) -> Iterator[tuple[str, BlobRef, float]]:
        return listed_below(self.root)

    def sweep(self, older: timedelta) -> int:
        """See `BlobStore.sweep`.

        A writer holds the file's lock, which ends with its process. On a file system without locks
        the age decides.
        """
        before = time.time() - older.total_seconds()
        removed = 0
        if (self.root / PIN_MARKER).exists():
            with _deleting(self.root) as held:
                if not held:
                    _unpin(self.root)
        for path in self.root.glob("*/incoming/*"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                unheld = _lock(file, wait=False)
                if path.stat().st_mtime < before if unheld is None else unheld:
                    path.unlink()
                    removed += 1
        return removed

    def pin(self) -> contextlib.AbstractContextManager[None]:
        """See `BlobStore.pin`. Does nothing for an unused folder."""
        return pin(self.root) if (self.root / MARKER).exists() else contextlib.nullcontext()

    def listed_pinned(self) -> Iterator[tuple[str, BlobRef]]:
        return ((tenant, ref) for tenant, ref, _ in listed_below(self.root, held=True))

    def open_pinned(self, tenant: str, ref: BlobRef) -> BinaryIO:
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                return open_pinned(self._path(tenant, ref))
            except FileNotFoundError:
                return self.open(tenant, ref)  # its error names a missing blob

    def _path(self, tenant: str, ref: BlobRef) -> Path:
        return self.root / key_of(tenant, ref)

    def _begin(self) -> None:
        """Mark the folder at its first use; refuse one that has lost its mark since."""
        marker = self.root / MARKER
        with self._guard:
            if not marker.exists():
                if self._used:
                    raise _unmounted(self.root, "a new blob")
                self._make(self.root)
                marker.touch()
                _sync(self.root)
            self._used = True

    def _require_root(self, subject: str) -> None:
        """Raise Unavailable if a blob is missing because the whole folder is."""
        with self._guard:
            if (self.root / MARKER).exists():
                self._used = True
            elif self._used or not self.root.is_dir() or not any(self.root.iterdir()):
                raise _unmounted(self.root, subject)

    @contextlib.contextmanager
    def _incoming(self, tenant: str) -> Iterator[IO[bytes]]:
        """Yield a file to write to, removed at the end unless it was renamed."""
        folder = self.root / folder_of(tenant) / "incoming"
        self._make(folder)
        with _locked_file(folder) as file:
            try:
                yield file
            except BaseException:
                with contextlib.suppress(OSError):  # buffered bytes go to the same disk
                    file.close()
                with contextlib.suppress(OSError):
                    Path(file.name).unlink(missing_ok=True)
                raise

    def _finish(self, file: IO[bytes], path: Path) -> None:
        """Rename a file to its final path, durably."""
        file.flush()
        os.fsync(file.fileno())
        self._make(path.parent)
        Path(file.name).replace(path)
        _sync(path.parent)

    def _make(self, folder: Path) -> None:
        """Create a folder and its parents, durably.

        Another process may have created it without syncing it yet, so each process syncs it once.
        """
        with self._guard:
            if folder in self._durable and folder.is_dir():
                return
            folder.mkdir(parents=True, exist_ok=True)
            for made in (folder, *folder.parents):
                if made in self._durable and made != folder:
                    break
                _sync(made.parent)
                self._durable.add(made)
                if made == self.root:
                    break


@contextlib.contextmanager
def pin(root: Path) -> Iterator[None]:
    """Keep the bytes of deleted blobs until the end of the block, for a backup.

    Other readers no longer find such a blob. Its file is renamed (see `open_pinned`) and removed at
    the end, or at the next start of ingest. Raises Unavailable if the file system has no locks.
    """
    with (root / MARKER).open("rb") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX)
        except OSError as error:
            raise Unavailable(
                f"The file system of the blob folder {root} has no locks "
                f"({error.strerror}), so blobs may be deleted during the copy. Stop "
                "the suite, then copy the folder."
            ) from None
        (root / PIN_MARKER).touch()
        try:
            yield
        finally:
            _unpin(root)


def listed_below(root: Path, *, held: bool = False) -> Iterator[tuple[str, BlobRef, float]]:
    """Yield every blob in a folder with tenant and age in seconds.

    Args:
        held: include blobs deleted while all are pinned.
    """
    for path in chain(root.glob("*/??/*"), root.glob("*/*/??/*")):
        key = path.relative_to(root).as_posix()
        found = _stat_or_none(path)
        if found is None and held:  # renamed since its folder was listed
            found = _stat_or_none(path.with_name(path.name + PINNED_SUFFIX))
        one = (
            ref_of_key(key.removesuffix(PINNED_SUFFIX) if held else key, found.st_size)
            if found
            else None
        )
        if found and one:
            yield *one, max(0.0, time.time() - found.st_mtime)


def _stat_or_none(path: Path) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError):
        return path.stat()
    return None


def open_pinned(path: Path) -> BinaryIO:
    """Open a blob while all are pinned, even if it was deleted meanwhile."""
    renamed = path.with_name(path.name + PINNED_SUFFIX)
    for one in (path, renamed):
        with contextlib.suppress(FileNotFoundError):
            return one.open("rb")
    return path.open("rb")  # written again between the two


@contextlib.contextmanager
def _deleting(root: Path) -> Iterator[bool]:
    """Yield whether blobs are pinned; if not, pinning waits for the end of the block."""
    try:
        marker = (root / MARKER).open("rb")
    except FileNotFoundError:
        yield False
        return
    with marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_SH | fcntl.LOCK_NB)
            taken = False
        except BlockingIOError:
            taken = True
        except OSError:  # without locks there are no pins
            taken = False
        yield taken


def _unpin(root: Path) -> None:
    for folder in ("*/??", "*/*/??"):
        for path in root.glob(f"{folder}/*{PINNED_SUFFIX}"):
            path.unlink(missing_ok=True)
    (root / PIN_MARKER).unlink(missing_ok=True)


def _locked_file(folder: Path) -> IO[bytes]:
    """Create and lock a file; a sweep may remove it before it is locked."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115
        _lock(file, wait=True)
        if Path(file.name).exists():
            return file
        file.close()


def _lock(file: IO[bytes], *, wait: bool) -> bool | None:
    """Return whether the lock was free; None if the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _touched(path: Path) -> bool:
    """Renew the age of a blob. Returns False if it is missing or another user owns it."""
    try:
        os.utime(path)
    except (FileNotFoundError, PermissionError):
        return False
    return True


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unmounted(root: Path, subject: str) -> Unavailable:
    return Unavailable(
        f"The blob folder {root} has lost its marker {MARKER}, so {subject} can't be "
        "reached. Mount its disk."
    )


@contextlib.contextmanager
def _available(subject: str) -> Iterator[None]:
    """Turn a full, failing or missing disk into `Unavailable`, which workers retry."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The blob store can't reach {subject} ({error.strerror or error}). Check the"
            " disk: space, health, permissions, open files."
        ) from error
