"""A backup of a whole place while it works, and the way back.

**The order.** First every blob is held: what is deleted from now on keeps its bytes until the end.
Then all databases, and the bus where it is a file, are looked at in one and the same moment (see
`shared.storage.snapshot`). They are copied from what was seen at that moment, and after them the
blobs. A blob is written before a row names it, and none goes away meanwhile; so every blob that was
there at that moment is in the backup. What is restored is what a power cut at that moment would
have left, and a suite that starts there goes on like after one.

**Blobs** are copied the same way from a folder and from a bucket, and come back to either: a backup
has them as a folder has. What a try that broke off has copied stays beside the target (`.partial`)
and is not copied a second time: the name of a blob says what is in it. There can be millions of
blobs, so nothing here has them all in memory: what was copied is known by lying there.

**Events.** A bus in a file is part of the moment. A broker is not: whoever restores begins with an
empty topic, and everything that the outboxes still have is sent once more (`outbox_days`); who has
handled an event knows it by its inbox.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from shared.bus import Bus
from shared.bus.sqlite import forget_leases
from shared.cli import letters
from shared.cli.lock import FolderLock
from shared.errors import Conflict, SuiteError
from shared.events import BlobRef
from shared.storage import BlobStore, MissingBlob, Store, open_blobs, trail
from shared.storage.blobs import CHUNK, MARKER, key_of, ref_of_key
from shared.storage.restoring import restoring
from shared.storage.snapshot import is_empty, load_dump, snapshots
from shared.upkeep.manifest import BadBackup, File, Files, Manifest, copied, files_of, hash_of
from shared.upkeep.partial import (
    BLOBS,
    EARLIER,
    PARTIAL,
    alone,
    drop_earlier,
    keep_blobs,
    moved,
    set_aside,
)
from shared.version import VERSION

DATABASES, ADAPTERS, BUS = "databases", "adapters", "bus.db"
LETTERS = "dead-letters-listed.jsonl"
"""Dead letters of a broker, to be read; those of a file are in it."""
COPIES = 8
"""Blobs on their way at the same time; a server is far, and most blobs are small."""
AT_ONCE = 512
"""Blobs that are handed to those copies together."""
MOUNTS = Path("/proc/self/mountinfo")
"""What Linux says of all mounts, one a line; the fifth word is where (`man 5 proc`)."""
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Put = set[str]
"""The keys (`key_of`) of blobs that a bucket did not have before they were restored."""


@dataclass(frozen=True)
class Place:
    """What is backed up, or where something is restored to.

    Args:
        data: the data folder.
        databases: SQLAlchemy URLs by service.
        bus: the file of the bus, or None where a broker carries the events.
        bucket: where the blobs lie, if that is not the data folder: `s3://bucket/prefix`.
    """

    data: Path
    databases: Mapping[str, str]
    bus: Path | None
    bucket: str = ""

    @property
    def blobs(self) -> Path:
        """The folder of the blobs, and of what has come so far of resumable uploads."""
        return self.data / BLOBS

    def store(self, owner: str = "") -> BlobStore:
        """The blobs of all services, those of one to be written. Raises SettingsError."""
        return open_blobs(self.bucket, self.blobs, owner)


def backup(place: Place, target: Path, broker: Bus | None = None) -> Manifest:
    """Copy a place into a new folder, while it works or not.

    Args:
        broker: what carries the events where that is no file: its dead letters are listed.

    Raises:
        Conflict: there is something at `target`, another backup is being made there, or another
            holds the same bucket.
        SuiteError: something can't be read or written; nothing is left at `target` then, and the
            blobs that were copied lie in `target.partial`, where the next try finds them.
    """
    _require_empty(target, "a backup is made")
    partial = target.with_name(target.name + PARTIAL)
    try:
        with alone(partial):
            try:
                _require_empty(target, "a backup is made")
                keep_blobs(partial)
                manifest = _copied(place, partial, broker)
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


def _copied(place: Place, folder: Path, broker: Bus | None) -> Manifest:
    set_aside(folder)
    with Files(folder) as files:
        blobs = place.store()
        with blobs.holding():
            moment, names = _databases(place, folder, files)
            _copy_blobs(blobs, folder, files)
        _copy_rest(place, folder, files, broker)
    drop_earlier(folder)
    bus = names.pop("bus", None)
    manifest = Manifest(
        version=VERSION,
        moment=moment.isoformat(timespec="milliseconds"),
        databases=names,
        bus=bus,
        blobs=files.blobs,
        bytes=files.bytes,
        damaged=files.damaged,
        bucket=place.bucket,
        files_sha256=files.sha256,
    )
    manifest.write(folder)
    return Manifest.read(folder)


def _copy_rest(place: Place, folder: Path, files: Files, broker: Bus | None) -> None:
    """Copy what is neither a database nor a blob."""
    for one in _uploads(place, folder):
        files.add_blob(one)
    if not place.bucket and (place.blobs / MARKER).exists():
        files.add(_within(folder, copied(place.blobs / MARKER, folder / BLOBS / MARKER)))
    for path in _others(place.data):
        with contextlib.suppress(FileNotFoundError):  # an adapter that was removed meanwhile
            where = folder / path.relative_to(place.data)
            files.add(_within(folder, copied(path, where)))
    if broker is not None:
        listed = [json.dumps(letters.whole(one)) + "\n" for one in broker.dead_letters()]
        (folder / LETTERS).write_text("".join(listed))
        files.add(_within(folder, hash_of(folder / LETTERS)))


def _databases(place: Place, folder: Path, files: Files) -> tuple[datetime, dict[str, str]]:
    """Copy all databases, and the bus where it is a file, as of one moment: that, and their files
    by service.
    """
    urls = dict(place.databases)
    if place.bus is not None:
        urls["bus"] = f"sqlite:///{place.bus}"
    names: dict[str, str] = {}
    with snapshots(urls) as moment:
        now = datetime.now(UTC)
        (folder / DATABASES).mkdir()
        for one in moment:
            name = BUS if one.name == "bus" else f"{DATABASES}/{one.name}{one.suffix}"
            one.copy(folder / name)
            names[one.name] = name
            files.add(_within(folder, hash_of(folder / name)))
    return now, names


def _copy_blobs(blobs: BlobStore, folder: Path, files: Files) -> None:
    """Copy every blob that is held, or move it from where an earlier try has copied it to. One that
    is named a second time lies there already.
    """

    def copy(one: tuple[str, BlobRef]) -> File | None:
        tenant, ref = one
        where, earlier = (folder / name / key_of(tenant, ref) for name in (BLOBS, EARLIER))
        if where.exists():
            return None
        if earlier.is_file() and (there := hash_of(earlier)).sha256 == ref.sha256:
            moved(earlier, where)
            return File(str(where), there.size, there.sha256)
        with contextlib.suppress(FileExistsError):  # in hand already, by another number of bytes
            return copied(where, where, lambda _: blobs.open_held(tenant, ref))
        return None

    for one in filter(None, _side_by_side(copy, blobs.held())):
        files.add_blob(_within(folder, one))
        if (name := Path(one.path).name) != one.sha256:
            files.damaged.append(name)


def _uploads(place: Place, folder: Path) -> Iterator[File]:
    """Copy what has come so far of resumable uploads, which lies in the data folder always.
    Half-written blobs and drawn pages are nobody's loss.
    """
    for path in sorted(place.blobs.glob("*/uploads/*")):
        where = folder / BLOBS / path.relative_to(place.blobs)
        with contextlib.suppress(FileNotFoundError):  # somebody has ended it meanwhile
            yield _within(folder, copied(path, where))


def _side_by_side(do: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Do the same with each, some at a time; the answers in order. What is there twice among those
    that are done together is done once. Raises what is raised first.
    """
    rest = iter(items)
    with ThreadPoolExecutor(COPIES) as pool:
        while some := dict.fromkeys(islice(rest, AT_ONCE)):
            yield from pool.map(do, some)


def _others(data: Path) -> Iterator[Path]:
    """What else is worth keeping of a data folder."""
    for path in (data / ADAPTERS).rglob("*"):
        if path.is_file() and ".partial" not in path.suffixes:
            yield path
    if (data / letters.JOURNAL).is_file():
        yield data / letters.JOURNAL


def _within(folder: Path, file: File) -> File:
    return File(**{**asdict(file), "path": Path(file.path).relative_to(folder).as_posix()})


# The way back


def restore(
    source: Path, place: Place, settle: Callable[[Path, Manifest, Put], T]
) -> tuple[Manifest, T]:
    """Bring a backup into an empty place: every file is held against its hash first.

    Args:
        source: the folder of the backup.
        place: an empty or missing data folder, and databases without tables. A bucket may have
            something in it: what is there as it is in the backup stays, and nothing is removed.
        settle: is told the folder, which does not have its final name yet, once all of it is there,
            and what was put into a bucket, and sets its rows right; what it raises undoes the
            folder. Its answer is given back.

    Raises:
        BadBackup: it is none, or not what it was; nothing is left then.
        Conflict: the place is not empty, or somebody else works on its databases: nothing was
            changed. Or somebody began to work in the folder meanwhile, which is left to him: the
            message says what was filled by then.
        FolderInUse: another restore, or a suite, is at work on the data folder.
        SuiteError: something can't be read or written.
    """
    manifest = Manifest.read(source)
    servers = {name: place.databases[name] for name in _on_servers(manifest, place)}
    with _alone_in(place.data), restoring(servers):
        _require_empty_databases(servers)
        partial = place.data.with_name(place.data.name + PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _make(partial)
            _bring(source, partial, manifest, place)
            _require_untouched(place.data)
            put = _put(source, place)
            _require_untouched(place.data, _filled(place, put))
            for name, url in servers.items():
                load_dump(url, source / manifest.databases[name], name)
            told = settle(partial, manifest, put)
            os.sync()
            _take_its_place(partial, place.data, _filled(place, put, servers))
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return manifest, told


@contextlib.contextmanager
def _alone_in(data: Path) -> Iterator[None]:
    """For the time of the block nobody restores to an empty folder, or works on it. Raises
    Conflict, and FolderInUse with the process that does.
    """
    if _is_mount(data):
        raise Conflict(
            f"a disk or another folder is mounted at {data}, whose place nothing can take: name a"
            " folder in it, and start the suite on that"
        )
    there = data.exists()
    lock = FolderLock(data)
    if not lock.path.exists():
        _require_empty(data, "a backup is restored")
    try:
        with lock:
            try:
                _require_empty(data, "a backup is restored", but=lock.path)
                yield
            finally:
                if data.exists() and list(data.iterdir()) == [lock.path]:
                    lock.path.unlink()
    finally:
        if not there and data.exists() and not any(data.iterdir()):
            data.rmdir()


def _is_mount(folder: Path) -> bool:
    """Whether something is mounted there, be it another folder of the same disk (a bind mount)."""
    if folder.is_mount():
        return True
    try:
        lines = MOUNTS.read_bytes().split(b"\n")
    except OSError:  # not on Linux
        return False
    here = os.fsencode(folder.resolve())
    return any(_plain(words[4]) == here for line in lines if len(words := line.split(b" ")) > 4)


def _plain(word: bytes) -> bytes:
    """A word of MOUNTS as it was: spaces, tabs, ends of lines and backslashes are octal there."""
    return re.sub(rb"\\([0-3][0-7]{2})", lambda found: bytes([int(found[1], 8)]), word)


def _make(partial: Path) -> None:
    """Make the folder in which all is gathered first. Raises SuiteError."""
    try:
        partial.mkdir()
    except OSError as error:
        raise SuiteError(
            f"what is restored is gathered in {partial}, which can't be made ({error.strerror}):"
            " name a folder with room beside it"
        ) from None


def _require_untouched(data: Path, filled: str = "") -> None:
    """Raise Conflict if somebody works in the folder since; `filled` is what has been by now."""
    if data.is_dir() and any(one != FolderLock(data).path for one in data.iterdir()):
        raise Conflict(
            f"somebody began to work in {data} while it was restored: stop that, empty the folder"
            f" or name another, and begin again{filled}"
        )


def _take_its_place(partial: Path, data: Path, filled: str) -> None:
    """Give what is restored its name. Raises Conflict if somebody works there since."""
    _require_untouched(data, filled)
    FolderLock(data).path.unlink(missing_ok=True)
    try:
        data.rmdir()
        partial.rename(data)
    except OSError as error:
        _require_untouched(data, filled)
        raise SuiteError(
            f"what is restored could not take the place of {data} ({error.strerror}): name another"
            f" folder, and begin again{filled}"
        ) from None


def _filled(place: Place, put: Put, servers: Iterable[str] = ()) -> str:
    """What a restore that fails has filled, and what to do with it: the end of a message."""
    said = ""
    if names := list(servers):
        settings = ", ".join(f"SMALLPRINT_{name.upper()}_DATABASE_URL" for name in names)
        said += (
            f". The databases of {', '.join(names)} are filled already: make new ones, and name"
            f" them in {settings}"
        )
    if put:
        said += f". The blobs that are in {place.bucket} already may stay: they are not sent again"
    return said


def let_go(stores: Mapping[str, Store], bus: Path | None) -> None:
    """Nobody holds anything of a restored place: relays, consumers, senders of webhooks. What was
    handled is known for as long as if it had been now.
    """
    for store in stores.values():
        trail.forget_relay(store)
        trail.remember_anew(store)
    if bus is not None:
        forget_leases(bus)


def send_again(stores: Mapping[str, Store]) -> int:
    """Let the relays send all that the outboxes still have. Returns how many events these are."""
    return sum(trail.send_all_again(store) for store in stores.values())


def _on_servers(manifest: Manifest, place: Place) -> Iterator[str]:
    """The services whose databases a server has, of the kind that the backup has."""
    for name, file in manifest.databases.items():
        url = place.databases[name]
        on_server = not url.startswith("sqlite:///")
        if on_server != file.endswith(".dump"):
            kinds = ("PostgreSQL", "SQLite")
            had, wanted = kinds if file.endswith(".dump") else kinds[::-1]
            raise Conflict(
                f"the backup has the database of {name} from {had}, and the settings name one of "
                f"{wanted}: restore it to {had}"
            )
        if on_server:
            yield name


def _require_empty_databases(servers: Mapping[str, str]) -> None:
    for name, url in servers.items():
        if not is_empty(url):
            raise Conflict(
                f"the database of {name} is not empty: make a new one, and name it in "
                f"SMALLPRINT_{name.upper()}_DATABASE_URL"
            )


def _bring(source: Path, partial: Path, manifest: Manifest, place: Place) -> None:
    """Copy the files of a backup into a folder, each checked, but for what belongs elsewhere, such
    as the blobs where they go into a bucket. Raises BadBackup.
    """
    for file in files_of(source):
        path = Path(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise BadBackup(f"the backup names a file outside of it: {file.path}")
        if file.path == manifest.bus and place.bus is None:
            continue
        elsewhere = path.suffix == ".dump" or file.path == LETTERS
        if elsewhere or (place.bucket and _blob_of(file) is not None):
            target = None
        else:
            target = partial / (path.name if path.parts[0] == DATABASES else path)
        _require_same(file, _fetched(source / path, target))
    if manifest.bucket and not place.bucket and (partial / BLOBS).is_dir():
        (partial / BLOBS / MARKER).touch()


def _blob_of(file: File) -> tuple[str, BlobRef] | None:
    """Tenant and blob, where a file of a backup is one."""
    top, _, key = file.path.partition("/")
    return ref_of_key(key, file.size) if top == BLOBS else None


def _fetched(source: Path, target: Path | None) -> File:
    """A file of a backup as it is, copied to a target where there is one."""
    try:
        return copied(source, target) if target else hash_of(source)
    except OSError as error:
        if not source.is_file():
            raise BadBackup(f"the backup lacks {source.name}: {error}") from None
        raise SuiteError(f"{source} could not be copied to its place: {error}") from None


def _require_same(file: File, found: File) -> None:
    if (found.sha256, found.size) != (file.sha256, file.size):
        raise BadBackup(
            f"{file.path} of the backup is not what it was: nothing was restored, take another"
        )


def _put(source: Path, place: Place) -> Put:
    """Put the blobs into the bucket, if there is one, once all are checked; those that it has as
    they are stay. Returns those that it did not have.
    """
    if not place.bucket:
        return set()
    stores = {owner: place.store(owner) for owner in {ref.owner for _, ref in _whole_of(source)}}

    def put(one: tuple[str, BlobRef]) -> str | None:
        tenant, ref = one
        if _has(stores[ref.owner], tenant, ref):
            return None
        key = key_of(tenant, ref)
        with (source / BLOBS / key).open("rb") as stream:
            stores[ref.owner].put_stream(tenant, stream)
        return key

    return set(filter(None, _side_by_side(put, _whole_of(source))))


def _whole_of(source: Path) -> Iterator[tuple[str, BlobRef]]:
    """The blobs of a backup, but for what was damaged before: that can't be a blob again."""
    for file in files_of(source):
        blob = _blob_of(file)
        if blob is not None and file.sha256 == blob[1].sha256:
            yield blob


def _has(blobs: BlobStore, tenant: str, ref: BlobRef) -> bool:
    """Whether a blob is there, with the bytes that its name says."""
    digest = hashlib.sha256()
    try:
        with blobs.open(tenant, ref) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except MissingBlob:
        return False
    return digest.hexdigest() == ref.sha256


def _require_empty(folder: Path, what: str, but: Path | None = None) -> None:
    if folder.exists() and (not folder.is_dir() or any(one != but for one in folder.iterdir())):
        raise Conflict(f"{what} only in a new or empty folder, and {folder} has something in it")
