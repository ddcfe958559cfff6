"""Blobs by hash: bytes that are written once, whole or not at all, and shared between the services
of a tenant.

Every service reads all blobs of a tenant, and writes and deletes its own alone: `BlobRef.owner`
says whose they are, so that none removes bytes which another has too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from shared.errors import SettingsError, SuiteError, Unavailable
from shared.events import BlobRef
from shared.tenancy import must_be_of

CHUNK = 1 << 20
MARKER = ".smallprint-blobs"
"""A file that is in the folder from its first use on: without it, a disk is not mounted."""
HELD = ".held"
"""Behind the name of a blob that was deleted while all of them were held."""
HOLDING = ".smallprint-holding"
"""A file that is in the folder while its blobs are held, or were when whoever held them died."""
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(
    rf"(?P<tenant>{_TENANT.pattern})/((?P<owner>[a-z]{{3,32}})/)?(?P<two>[0-9a-f]{{2}})/"
    r"(?P<sha256>(?P=two)[0-9a-f]{62})"
)


class MissingBlob(SuiteError):
    """The bytes that a row refers to are not in the blob store, or are not what they were."""

    code = "missing_blob"


class BlobStore(Protocol):
    """What services ask of a blob store. All raise Unavailable while its disk is away or full, or
    its server does not answer.
    """

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """Keep bytes durably; the same bytes again are the same blob, which is young again."""

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """Keep a stream durably, in bounded memory."""

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """The bytes, checked against their hash. Raises MissingBlob."""

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """The bytes as a stream, unchecked. Raises MissingBlob."""

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """Forget bytes of one's own; nothing happens if they are gone already."""

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """As `delete`, unless they were put after `before`, also if they were there already.
        Returns whether they are gone.
        """

    def listed(self) -> Iterator[tuple[str, BlobRef]]:
        """Every blob of every tenant and service with its tenant, in no order, unchecked. What is
        put or deleted meanwhile may be among them or not.
        """

    def aged(self) -> Iterator[tuple[str, BlobRef, float]]:
        """The same, with how many seconds ago each was written."""

    def sweep(self, older: timedelta) -> int:
        """Remove what killed processes left half written and is `older`. Returns how many."""

    def holding(self) -> contextlib.AbstractContextManager[None]:
        """Keep the bytes of every blob that is there for the time of the block, for who copies
        them: what is deleted meanwhile is gone for everybody else, and its bytes go at the end.
        """

    def held(self) -> Iterator[tuple[str, BlobRef]]:
        """As `listed`, and what was deleted while all are held; some are named twice."""

    def open_held(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """As `open`, also where somebody has deleted the blob while all are held."""


def open_blobs(url: str, folder: Path, owner: str = "") -> BlobStore:
    """The blob store of a service: the bucket that a URL names, or the folder where there is none.

    Args:
        url: `s3://bucket/prefix`, or empty.
        folder: where the blobs lie without a URL.
        owner: the service whose blobs are written and deleted here; empty for ingest.

    Raises:
        SettingsError: the URL names no bucket, or the client of S3 is not installed.
    """
    if not url:
        return FileBlobs(folder, owner)
    if find_spec("boto3") is None:
        raise SettingsError(
            "SMALLPRINT_BLOBS_URL needs the package boto3, which is not installed: install"
            " requirements/s3.txt, or leave it empty for the folder below SMALLPRINT_DATA"
        )
    from shared.storage.s3 import S3Blobs

    return S3Blobs(url, owner)


def folder_of(tenant: str) -> str:
    """Where all lies that is not a row of a tenant: the one place that says so. Raises ValueError
    for what is no tenant's name, and CrossesTenants in the work of another one.
    """
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"not a tenant's name: {tenant!r}")
    must_be_of(tenant, "blobs")
    return tenant


def key_of(tenant: str, ref: BlobRef) -> str:
    """Where a blob lies: `<tenant>/<owner>/<first two of the hash>/<hash>`, without the owner for
    ingest. Raises as `folder_of`.
    """
    return "/".join(filter(None, (folder_of(tenant), ref.owner, ref.sha256[:2], ref.sha256)))


def ref_of_key(key: str, size: int) -> tuple[str, BlobRef] | None:
    """The way back of `key_of`: tenant and blob; None for what is none of ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    owner = found["owner"] or ""
    return found["tenant"], BlobRef(sha256=found["sha256"], size=size, owner=owner)


def must_own(tenant: str, ref: BlobRef, owner: str) -> None:
    """Raise ValueError for what belongs to another service than `owner`."""
    if ref.owner != owner:
        raise ValueError(
            f"blob {ref.sha256} of tenant {tenant} belongs to {ref.owner or 'ingest'}, and"
            f" {owner or 'ingest'} can't delete it"
        )


class FileBlobs:
    """A folder: `<tenant>/<owner>/<first two of the hash>/<hash>`, without the owner for ingest.

    Args:
        root: the folder that all services share.
        owner: the service whose blobs are written and deleted here; empty for ingest.
    """

    def __init__(self, root: Path, owner: str = "") -> None:
        self.root = root
        self.owner = owner
        self._used = False
        self._durable: set[Path] = set()
        self._guard = threading.RLock()

    def put(self, tenant: str, data: bytes) -> BlobRef:
        """See `BlobStore.put`."""
        sha256 = hashlib.sha256(data).hexdigest()
        ref = BlobRef(sha256=sha256, size=len(data), owner=self.owner)
        path = self._path(tenant, ref)
        with _available(f"blob {sha256} of tenant {tenant}"):
            self._begin()
            if _touched(path):  # by whoever may have died before it was durable
                self._make(path.parent)
                _sync(path.parent)
                return ref
            with self._incoming(tenant) as file:
                file.write(data)
                self._finish(file, path)
        return ref

    def put_stream(self, tenant: str, stream: BinaryIO) -> BlobRef:
        """See `BlobStore.put_stream`. An error of the stream itself is raised as it is."""
        folder_of(tenant)  # a wrong one is refused before we read
        what = f"a new blob of tenant {tenant}"
        digest, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
            with _available(what):
                self._begin()
                file = stack.enter_context(self._incoming(tenant))
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                with _available(what):
                    file.write(chunk)
            ref = BlobRef(sha256=digest.hexdigest(), size=size, owner=self.owner)
            with _available(what):
                self._finish(file, self._path(tenant, ref))
        return ref

    def get(self, tenant: str, ref: BlobRef) -> bytes:
        """See `BlobStore.get`."""
        with self.open(tenant, ref) as file, _available(f"blob {ref.sha256} of tenant {tenant}"):
            data = file.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise MissingBlob(
                f"blob {ref.sha256} of tenant {tenant} is damaged: restore it from a backup"
            )
        return data

    def open(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open`."""
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                return self._path(tenant, ref).open("rb")
            except FileNotFoundError:
                self._require_root(f"blob {ref.sha256} of tenant {tenant}")
                raise MissingBlob(
                    f"blob {ref.sha256} of tenant {tenant} is missing: restore it from a backup"
                ) from None

    def delete(self, tenant: str, ref: BlobRef) -> None:
        """See `BlobStore.delete`. Raises ValueError for what belongs to another service."""
        path = self._path(tenant, ref)
        must_own(tenant, ref, self.owner)
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                with _deleting(self.root) as held:
                    if held:
                        path.replace(path.with_name(path.name + HELD))
                    else:
                        path.unlink()
            except FileNotFoundError:
                self._require_root(f"blob {ref.sha256} of tenant {tenant}")

    def delete_older(self, tenant: str, ref: BlobRef, before: datetime) -> bool:
        """See `BlobStore.delete_older`. What is put between the look and the removal, which is a
        matter of microseconds, goes as well. Raises as `delete`.
        """
        what = f"blob {ref.sha256} of tenant {tenant}"
        with _available(what), contextlib.suppress(FileNotFoundError):
            if self._path(tenant, ref).stat().st_mtime > before.timestamp():
                return False
        self.delete(tenant, ref)
        return True

    def listed(self) -> Iterator[tuple[str, BlobRef]]:
        """See `BlobStore.listed`."""
        with _available("the list of blobs"):
            self._require_root("the list of blobs")
            for folder, _, names in os.walk(self.root, onerror=_raise):
                for path in (Path(folder, name) for name in names):
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        key = path.relative_to(self.root).as_posix()
                        if found := ref_of_key(key, path.stat().st_size):
                            yield found

    def aged(self) -> Iterator[tuple[str, BlobRef, float]]:
        """See `BlobStore.aged`."""
        return aged_below(self.root)

    def sweep(self, older: timedelta) -> int:
        """See `BlobStore.sweep`.

        Whoever writes holds the file's lock, which ends with its process. Where the file system has
        no locks, what is `older` is taken for left.
        """
        before = time.time() - older.total_seconds()
        removed = 0
        if (self.root / HOLDING).exists():
            with _deleting(self.root) as held:
                if not held:
                    _let_go(self.root)
        for path in self.root.glob("*/incoming/*"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                unheld = _lock(file, wait=False)
                if path.stat().st_mtime < before if unheld is None else unheld:
                    path.unlink()
                    removed += 1
        return removed

    def holding(self) -> contextlib.AbstractContextManager[None]:
        """See `BlobStore.holding`. Where there never was a blob, there is nothing to hold."""
        return holding(self.root) if (self.root / MARKER).exists() else contextlib.nullcontext()

    def held(self) -> Iterator[tuple[str, BlobRef]]:
        """See `BlobStore.held`."""
        return ((tenant, ref) for tenant, ref, _ in aged_below(self.root, held=True))

    def open_held(self, tenant: str, ref: BlobRef) -> BinaryIO:
        """See `BlobStore.open_held`."""
        with _available(f"blob {ref.sha256} of tenant {tenant}"):
            try:
                return open_held(self._path(tenant, ref))
            except FileNotFoundError:
                return self.open(tenant, ref)  # which says what is missing

    def _path(self, tenant: str, ref: BlobRef) -> Path:
        return self.root / key_of(tenant, ref)

    def _begin(self) -> None:
        """Mark the folder at its first use; refuse one that has lost its mark since."""
        marker = self.root / MARKER
        with self._guard:
            if not marker.exists():
                if self._used:
                    raise _unmounted(self.root, "what is to be kept")
                self._make(self.root)
                marker.touch()
                _sync(self.root)
            self._used = True

    def _require_root(self, what: str) -> None:
        """Called where bytes are missing: raise Unavailable if that is because all are."""
        with self._guard:
            if (self.root / MARKER).exists():
                self._used = True
            elif self._used or not self.root.is_dir() or not any(self.root.iterdir()):
                raise _unmounted(self.root, what)

    @contextlib.contextmanager
    def _incoming(self, tenant: str) -> Iterator[IO[bytes]]:
        """A file to write to, which is gone at the end unless it got its name."""
        folder = self.root / folder_of(tenant) / "incoming"
        self._make(folder)
        with _locked_file(folder) as file:
            try:
                yield file
            except BaseException:
                with contextlib.suppress(OSError):  # what is buffered still meets the same disk
                    file.close()
                with contextlib.suppress(OSError):
                    Path(file.name).unlink(missing_ok=True)
                raise

    def _finish(self, file: IO[bytes], path: Path) -> None:
        """Give a file its name, durably."""
        file.flush()
        os.fsync(file.fileno())
        self._make(path.parent)
        Path(file.name).replace(path)
        _sync(path.parent)

    def _make(self, folder: Path) -> None:
        """Make a folder, and its way from the root, so that a power cut can't take it back.

        Another process may have made it and not be there yet, so each is synced once by each.
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
def holding(root: Path) -> Iterator[None]:
    """Keep the bytes of every blob that is there for the time of the block, for who copies them.

    What is deleted meanwhile is gone for everybody else, but its bytes lie under another name, see
    `open_held`, and go at the end; if this process dies, at the next start of ingest. Raises
    Unavailable where the file system has no locks.
    """
    with (root / MARKER).open("rb") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX)
        except OSError as error:
            raise Unavailable(
                f"the blob folder {root} lies on a file system without locks ({error.strerror}), so"
                " nothing keeps a blob from being deleted while it is copied: stop the suite, and"
                " copy the folder as it is"
            ) from None
        (root / HOLDING).touch()
        try:
            yield
        finally:
            _let_go(root)


def aged_below(root: Path, *, held: bool = False) -> Iterator[tuple[str, BlobRef, float]]:
    """Every blob in a folder, with its tenant and its age in seconds; with `held` also those that
    were deleted while all of them are held. None where there is no folder.
    """
    for path in chain(root.glob("*/??/*"), root.glob("*/*/??/*")):
        key = path.relative_to(root).as_posix()
        found = _found(path)
        if found is None and held:  # put aside since its folder was listed
            found = _found(path.with_name(path.name + HELD))
        one = ref_of_key(key.removesuffix(HELD) if held else key, found.st_size) if found else None
        if found and one:
            yield *one, max(0.0, time.time() - found.st_mtime)


def _found(path: Path) -> os.stat_result | None:
    """What the system knows of a file; None if it was deleted."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat()
    return None


def open_held(path: Path) -> BinaryIO:
    """The bytes of a blob while all are held, also where somebody has deleted it meanwhile."""
    aside = path.with_name(path.name + HELD)
    for one in (path, aside):
        with contextlib.suppress(FileNotFoundError):
            return one.open("rb")
    return path.open("rb")  # written again between the two


@contextlib.contextmanager
def _deleting(root: Path) -> Iterator[bool]:
    """Whether blobs are held; while they are not, nobody begins to hold them within the block."""
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
        except OSError:  # no locks here, so nobody holds anything
            taken = False
        yield taken


def _let_go(root: Path) -> None:
    for folder in ("*/??", "*/*/??"):
        for path in root.glob(f"{folder}/*{HELD}"):
            path.unlink(missing_ok=True)
    (root / HOLDING).unlink(missing_ok=True)


def _locked_file(folder: Path) -> IO[bytes]:
    """A new file whose lock is ours; a sweep may have taken it away before it was."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115
        _lock(file, wait=True)
        if Path(file.name).exists():
            return file
        file.close()


def _lock(file: IO[bytes], *, wait: bool) -> bool | None:
    """Whether the file's lock could be had; None where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _touched(path: Path) -> bool:
    """Make a blob that is there young again. False where there is none, or where it is another
    user's, whose time can't be set: then it is written anew.
    """
    try:
        os.utime(path)
    except (FileNotFoundError, PermissionError):
        return False
    return True


def _sync(folder: Path) -> None:
    """Make what a folder lists durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise(error: OSError) -> None:
    raise error


def _unmounted(root: Path, what: str) -> Unavailable:
    return Unavailable(
        f"the blob folder {root} is not the one that was used before (its file {MARKER} is not"
        f" there), so {what} can't be found: mount the disk it lies on"
    )


@contextlib.contextmanager
def _available(what: str) -> Iterator[None]:
    """A disk that is full, failing or away is `Unavailable`, which the worker tries again."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the blob store can't reach {what}: {error.strerror or error}: see to the disk (space,"
            " health, rights, open files); it is tried again"
        ) from error
