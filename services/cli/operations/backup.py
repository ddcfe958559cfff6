"""Back up a running deployment, and restore it.

Order: all blobs are pinned first, so deletions keep their bytes until the end. Then all databases,
and a bus in a file, are read as of one moment (`shared.storage.snapshot`), and the blobs after
them. A blob is written before the row that names it, so the backup has every blob of that moment. A
restored deployment starts as after a power cut at that moment.

Blobs are copied the same way from a folder and from a bucket, and can be restored to either. Blobs
that a failed attempt has copied stay in `.partial` for the next one. There can be millions, so no
list of them is kept in memory.

Events: a bus in a file belongs to the snapshot. A broker does not. A restore starts with an empty
topic, and the outboxes send all events again that they still have (`outbox_days`). The inbox of
each service recognises the events that it has handled.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from services.cli.deployment.lock import FolderLock
from services.cli.operations import dead_letters
from services.cli.operations.backup_manifest import (
    BackupManifest,
    BadBackup,
    File,
    Files,
    copied,
    files_of,
    hash_of,
    sha256_of,
)
from services.cli.operations.partial_backup import (
    BLOBS,
    EARLIER,
    PARTIAL,
    alone,
    drop_earlier,
    keep_blobs,
    moved,
    set_aside,
)
from shared.blobs import BlobStore, MissingBlob, open_blobs
from shared.blobs.files import MARKER
from shared.blobs.protocol import key_of, ref_of_key
from shared.errors import Conflict, SuiteError
from shared.events import BlobRef
from shared.messaging import Inbox, outbox
from shared.storage import Store
from shared.storage.restore_guard import restoring
from shared.storage.snapshot import is_empty, load_dump, snapshots
from shared.version import VERSION

DATABASES, ADAPTERS, BUS = "databases", "adapters", "bus.db"
COPIES = 8  # blobs copied at the same time: servers are far away, and most blobs are small
AT_ONCE = 512  # blobs handed to the copying threads together
MOUNTS = Path("/proc/self/mountinfo")
"""All mounts on Linux, one per line. The fifth word is the mount point (`man 5 proc`)."""
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
PutKeys = set[str]  # keys (`key_of`) of blobs that a bucket lacked before the restore


@dataclass(frozen=True)
class BackedUpDeployment:
    """A deployment to back up, or to restore to.

    Args:
        data: the data folder.
        databases: SQLAlchemy URLs by service.
        bus: the file of the bus; None with a broker.
        bucket: the bucket with the blobs, `s3://bucket/prefix`; empty if they are in the data
            folder.
    """

    data: Path
    databases: Mapping[str, str]
    bus: Path | None
    bucket: str = ""

    @property
    def blobs(self) -> Path:
        """The folder of blobs and of unfinished resumable uploads."""
        return self.data / BLOBS

    def store(self, owner: str = "") -> BlobStore:
        """The blobs, writable for one owner. Raises SettingsError."""
        return open_blobs(self.bucket, self.blobs, owner)


def backup(deployment: BackedUpDeployment, target: Path) -> BackupManifest:
    """Copy a deployment into a new folder, whether it runs or not.

    Raises:
        Conflict: `target` is not empty, another backup is being made there, or another backup has
            pinned the blobs of the bucket.
        SuiteError: something can't be read or written. `target` stays empty then, and the copied
            blobs stay in `target.partial` for the next attempt.
    """
    _require_empty(target, "a backup is made")
    partial = target.with_name(target.name + PARTIAL)
    try:
        with alone(partial):
            try:
                _require_empty(target, "a backup is made")
                keep_blobs(partial)
                manifest = _copied(deployment, partial)
                os.sync()
                if target.exists():
                    target.rmdir()
                partial.rename(target)
            except BaseException:
                keep_blobs(partial)
                with contextlib.suppress(OSError):  # there are blobs
                    partial.rmdir()
                raise
    except OSError as error:
        raise SuiteError(f"the backup failed: {error}") from error
    return manifest


def _copied(deployment: BackedUpDeployment, folder: Path) -> BackupManifest:
    set_aside(folder)
    with Files(folder) as files:
        blobs = deployment.store()
        with blobs.pin():
            moment, names = _databases(deployment, folder, files)
            _copy_blobs(blobs, folder, files)
        _copy_rest(deployment, folder, files)
    drop_earlier(folder)
    bus = names.pop("bus", None)
    manifest = BackupManifest(
        version=VERSION,
        moment=moment.isoformat(timespec="milliseconds"),
        databases=names,
        bus=bus,
        blobs=files.blobs,
        bytes=files.bytes,
        damaged=files.damaged,
        bucket=deployment.bucket,
        files_sha256=files.sha256,
    )
    manifest.write(folder)
    return BackupManifest.read(folder)


def _copy_rest(deployment: BackedUpDeployment, folder: Path, files: Files) -> None:
    """Copy the files that are neither databases nor blobs."""
    for one in _uploads(deployment, folder):
        files.add_blob(one)
    if not deployment.bucket and (deployment.blobs / MARKER).exists():
        files.add(copied(deployment.blobs / MARKER, folder / BLOBS / MARKER))
    for path in _other_files(deployment.data):
        with contextlib.suppress(FileNotFoundError):  # an adapter that was removed meanwhile
            files.add(copied(path, folder / path.relative_to(deployment.data)))


def _databases(
    deployment: BackedUpDeployment, folder: Path, files: Files
) -> tuple[datetime, dict[str, str]]:
    """Copy all databases and a bus in a file as of one moment. Returns that moment, and the files
    by service.
    """
    urls = dict(deployment.databases)
    if deployment.bus is not None:
        urls["bus"] = f"sqlite:///{deployment.bus}"
    names: dict[str, str] = {}
    with snapshots(urls) as moment:
        now = datetime.now(UTC)
        (folder / DATABASES).mkdir()
        for one in moment:
            name = BUS if one.name == "bus" else f"{DATABASES}/{one.name}{one.suffix}"
            one.copy(folder / name)
            names[one.name] = name
            files.add(hash_of(folder / name))
    return now, names


def _copy_blobs(blobs: BlobStore, folder: Path, files: Files) -> None:
    """Copy each pinned blob, or move it from an earlier attempt. A blob that is listed twice is
    copied once.
    """

    def copy(one: tuple[str, BlobRef]) -> File | None:
        tenant, ref = one
        where, earlier = (folder / name / key_of(tenant, ref) for name in (BLOBS, EARLIER))
        if where.exists():
            return None
        if earlier.is_file() and (existed := hash_of(earlier)).sha256 == ref.sha256:
            moved(earlier, where)
            return File(str(where), existed.size, existed.sha256)
        with contextlib.suppress(FileExistsError):  # copied already, for another size
            return copied(where, where, lambda _: blobs.open_pinned(tenant, ref))
        return None

    for one in filter(None, _in_threads(copy, blobs.listed_pinned())):
        files.add_blob(one)
        if (name := Path(one.path).name) != one.sha256:
            files.damaged.append(name)


def _uploads(deployment: BackedUpDeployment, folder: Path) -> Iterator[File]:
    """Copy unfinished resumable uploads, which are always in the data folder. Half-written blobs
    and page images are left out.
    """
    for path in sorted(deployment.blobs.glob("*/uploads/*")):
        with contextlib.suppress(FileNotFoundError):  # the upload has just ended
            yield copied(path, folder / BLOBS / path.relative_to(deployment.blobs))


def _in_threads(do: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Apply a function in several threads, and yield the results in order. Equal items of one batch
    are handled once. Raises the first error.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(COPIES) as pool:
        while some := dict.fromkeys(islice(remaining, AT_ONCE)):
            yield from pool.map(do, some)


def _other_files(data: Path) -> Iterator[Path]:
    """Adapters and the log of dead letters in a data folder."""
    for path in (data / ADAPTERS).rglob("*"):
        if path.is_file() and ".partial" not in path.suffixes:
            yield path
    if (data / dead_letters.LOG_FILE).is_file():
        yield data / dead_letters.LOG_FILE


# Restore


def restore(
    source: Path,
    deployment: BackedUpDeployment,
    settle: Callable[[Path, BackupManifest, PutKeys], T],
) -> tuple[BackupManifest, T]:
    """Restore a backup to an empty deployment, after checking the hash of every file.

    Args:
        source: the folder of the backup.
        deployment: has an empty or missing data folder, and databases without tables. Its bucket
            may have blobs; nothing in it is removed.
        settle: corrects the rows of the restored folder, before that gets its final name. It also
            gets the keys of blobs that were put into the bucket. An error from it removes the
            folder. Its result is returned.

    Raises:
        BadBackup: the backup is damaged or none; nothing was restored.
        Conflict: the deployment is not empty, or another process uses its databases; nothing was
            changed.
        FolderInUse: a suite or another restore uses the data folder.
        SuiteError: something can't be read or written, or a process without the lock has started
            to use the folder.
    """
    manifest = BackupManifest.read(source)
    server_urls = {name: deployment.databases[name] for name in _on_servers(manifest, deployment)}
    with _locked_folder(deployment.data), restoring(server_urls):
        _require_empty_databases(server_urls)
        partial = deployment.data.with_name(deployment.data.name + PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _make_folder(partial)
            _copy_files(source, partial, manifest, deployment)
            put = _put(source, deployment)
            for name, url in server_urls.items():
                load_dump(url, source / manifest.databases[name], name)
            result = settle(partial, manifest, put)
            os.sync()
            _rename_restored(partial, deployment.data)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return manifest, result


@contextlib.contextmanager
def _locked_folder(data: Path) -> Iterator[None]:
    """Keep an empty data folder for this process until the block ends. Raises Conflict, or
    FolderInUse with the process that uses it.
    """
    if _is_mount(data):
        raise Conflict(
            f"a disk or another folder is mounted at {data}, so it can't be replaced: name a "
            "folder inside it, and start the suite there"
        )
    existed = data.exists()
    lock = FolderLock(data)
    if not lock.path.exists():
        _require_empty(data, "a backup is restored")
    try:
        with lock:
            try:
                _require_empty(data, "a backup is restored", except_for=lock.path)
                yield
            finally:
                if data.exists() and list(data.iterdir()) == [lock.path]:
                    lock.path.unlink()
    finally:
        if not existed and data.exists() and not any(data.iterdir()):
            data.rmdir()


def _is_mount(folder: Path) -> bool:
    """Whether something is mounted at a folder, a bind mount included."""
    if folder.is_mount():
        return True
    try:
        lines = MOUNTS.read_bytes().split(b"\n")
    except OSError:  # not on Linux
        return False
    here = os.fsencode(folder.resolve())
    return any(_plain(words[4]) == here for line in lines if len(words := line.split(b" ")) > 4)


def _plain(word: bytes) -> bytes:
    """A word of MOUNTS without octal escapes (spaces, tabs, line ends, backslashes)."""
    return re.sub(rb"\\([0-3][0-7]{2})", lambda found: bytes([int(found[1], 8)]), word)


def _make_folder(partial: Path) -> None:
    """Make the folder in which the restore collects its files. Raises SuiteError."""
    try:
        partial.mkdir()
    except OSError as error:
        raise SuiteError(
            f"the restore can't make the folder {partial} ({error.strerror}): name another data"
            " folder"
        ) from None


def _rename_restored(partial: Path, data: Path) -> None:
    """Rename the restored folder to its final name. Raises SuiteError if something else is there by
    now, since not every process asks for the lock.
    """
    FolderLock(data).path.unlink(missing_ok=True)
    try:
        data.rmdir()
        partial.rename(data)
    except OSError as error:
        raise SuiteError(
            f"the restored folder could not be renamed to {data} ({error.strerror}): stop what "
            "uses it or name another folder, make new PostgreSQL databases, and restore again"
        ) from None


def release_leases(stores: Mapping[str, Store]) -> None:
    """Release the leases of relays, workers and webhooks in a restored deployment. Handled events
    are remembered as long as if they had been handled now.
    """
    for store in stores.values():
        outbox.release_relay_lease(store)
        outbox.extend_inbox_retention(store)
        Inbox(store).release()


def send_again(stores: Mapping[str, Store]) -> int:
    """Let the relays send the events of all outboxes again. Returns their number."""
    return sum(outbox.resend_all(store) for store in stores.values())


def _on_servers(manifest: BackupManifest, deployment: BackedUpDeployment) -> Iterator[str]:
    """The services whose databases are on a server. Raises Conflict if the backup has another
    kind.
    """
    for name, file in manifest.databases.items():
        url = deployment.databases[name]
        on_server = not url.startswith("sqlite:///")
        if on_server != file.endswith(".dump"):
            kinds = ("PostgreSQL", "SQLite")
            had, wanted = kinds if file.endswith(".dump") else kinds[::-1]
            raise Conflict(
                f"the backup has a {had} database of {name}, and the settings name one of "
                f"{wanted}: restore it to {had}"
            )
        if on_server:
            yield name


def _require_empty_databases(server_urls: Mapping[str, str]) -> None:
    for name, url in server_urls.items():
        if not is_empty(url):
            raise Conflict(
                f"the database of {name} is not empty: make a new one, and set "
                f"SMALLPRINT_{name.upper()}_DATABASE_URL"
            )


def _copy_files(
    source: Path, partial: Path, manifest: BackupManifest, deployment: BackedUpDeployment
) -> None:
    """Check the files of a backup, and copy those of the data folder. Raises BadBackup."""
    for file in files_of(source):
        path = Path(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise BadBackup(f"the backup names a file outside its folder: {file.path}")
        if file.path == manifest.bus and deployment.bus is None:
            continue
        if path.suffix == ".dump" or (deployment.bucket and _blob_of(file) is not None):
            target = None
        else:
            target = partial / (path.name if path.parts[0] == DATABASES else path)
        _require_same(file, _copied_file(source / path, target))
    if manifest.bucket and not deployment.bucket and (partial / BLOBS).is_dir():
        (partial / BLOBS / MARKER).touch()


def _blob_of(file: File) -> tuple[str, BlobRef] | None:
    """Tenant and blob of a file in a backup; None for other files."""
    top, _, key = file.path.partition("/")
    return ref_of_key(key, file.size) if top == BLOBS else None


def _copied_file(source: Path, target: Path | None) -> File:
    """Size and hash of a file in a backup, after copying it to a target if there is one."""
    try:
        return copied(source, target) if target else hash_of(source)
    except OSError as error:
        if not source.is_file():
            raise BadBackup(f"the backup lacks {source.name}: {error}") from None
        raise SuiteError(f"{source} could not be copied: {error}") from None


def _require_same(file: File, actual: File) -> None:
    if (actual.sha256, actual.size) != (file.sha256, file.size):
        raise BadBackup(
            f"{file.path} of the backup is damaged: nothing was restored, use another backup"
        )


def _put(source: Path, deployment: BackedUpDeployment) -> PutKeys:
    """Put the blobs into the bucket, if there is one. Returns the keys of those that it lacked."""
    if not deployment.bucket:
        return set()
    stores = {
        owner: deployment.store(owner)
        for owner in {ref.owner for _, ref in _undamaged_blobs(source)}
    }

    def put(one: tuple[str, BlobRef]) -> str | None:
        tenant, ref = one
        if _has_blob(stores[ref.owner], tenant, ref):
            return None
        key = key_of(tenant, ref)
        with (source / BLOBS / key).open("rb") as stream:
            stores[ref.owner].put_stream(tenant, stream)
        return key

    return set(filter(None, _in_threads(put, _undamaged_blobs(source))))


def _undamaged_blobs(source: Path) -> Iterator[tuple[str, BlobRef]]:
    """The blobs of a backup, except those that were damaged before."""
    for file in files_of(source):
        blob = _blob_of(file)
        if blob is not None and file.sha256 == blob[1].sha256:
            yield blob


def _has_blob(blobs: BlobStore, tenant: str, ref: BlobRef) -> bool:
    try:
        with blobs.open(tenant, ref) as stream:
            return sha256_of(stream) == ref.sha256
    except MissingBlob:
        return False


def _require_empty(folder: Path, what: str, except_for: Path | None = None) -> None:
    if folder.exists() and (
        not folder.is_dir() or any(one != except_for for one in folder.iterdir())
    ):
        raise Conflict(f"{what} only in a new or empty folder, and {folder} has something in it")
