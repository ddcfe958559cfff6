"""A backup of a whole place while it works, and the way back.

**The order.** First every blob is held: what is deleted from now on keeps its bytes until the end.
Then all databases, and the bus where it is a file, are looked at in one and the same moment (see
`shared.storage.snapshot`). They are copied from what was seen at that moment, and after them the
blobs. A blob is written before a row names it, and none goes away meanwhile; so every blob that was
there at that moment is in the backup. What is restored is what a power cut at that moment would
have left, and a suite that starts there goes on like after one.

**A bucket** is not copied: its blobs never change, so at any later time it still has all of them,
but for what was deleted since, of which it is to keep the versions.

**Events.** A bus in a file is part of the moment. A broker is not: whoever restores begins with an
empty topic, and everything that the outboxes still have is sent once more (`outbox_days`); who has
handled an event knows it by its inbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from shared.bus import Bus
from shared.bus.sqlite import forget_leases
from shared.cli import letters
from shared.errors import Conflict, SuiteError
from shared.storage import Store, trail
from shared.storage.blobs import MARKER, aged_below, holding, open_held
from shared.storage.snapshot import is_empty, load_dump, snapshots
from shared.upkeep.manifest import BadBackup, File, Manifest, copied, files_of, hash_of
from shared.version import VERSION

DATABASES, BLOBS, ADAPTERS, BUS = "databases", "blobs", "adapters", "bus.db"
LETTERS = "dead-letters-listed.jsonl"
"""Dead letters of a broker, to be read; those of a file are in it."""
PARTIAL = ".partial"
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """What is backed up, or where something is restored to.

    Args:
        data: the data folder.
        databases: SQLAlchemy URLs by service.
        bus: the file of the bus, or None where a broker carries the events.
        bucket: where the blobs lie, if that is not the data folder; they are not copied then.
    """

    data: Path
    databases: Mapping[str, str]
    bus: Path | None
    bucket: str = ""

    @property
    def blobs(self) -> Path:
        """The folder of the blobs."""
        return self.data / BLOBS


def backup(place: Place, target: Path, broker: Bus | None = None) -> Manifest:
    """Copy a place into a new folder, while it works or not.

    Args:
        broker: what carries the events where that is no file: its dead letters are listed.

    Raises:
        Conflict: there is something at `target`.
        SuiteError: something can't be read or written; nothing is left at `target` then.
    """
    _require_empty(target, "a backup is made")
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        manifest = _copied(place, partial, broker)
        os.sync()
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise SuiteError(f"the backup failed: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _copied(place: Place, folder: Path, broker: Bus | None) -> Manifest:
    files: list[File] = []
    damaged: list[str] = []
    urls = dict(place.databases)
    if place.bus is not None:
        urls["bus"] = f"sqlite:///{place.bus}"
    names: dict[str, str] = {}
    with _held(place.blobs):
        with snapshots(urls) as moment:
            now = datetime.now(UTC)
            (folder / DATABASES).mkdir()
            for one in moment:
                name = BUS if one.name == "bus" else f"{DATABASES}/{one.name}{one.suffix}"
                one.copy(folder / name)
                names[one.name] = name
                files.append(_within(folder, hash_of(folder / name)))
        count = size = 0
        for path in sorted(set(_blob_files(place.blobs))):
            where = folder / BLOBS / path.relative_to(place.blobs)
            try:
                one_file = copied(path, where, open_held)
            except FileNotFoundError:
                if len(path.name) == 64:
                    raise
                continue  # the bytes of an upload, which somebody has ended meanwhile
            files.append(_within(folder, one_file))
            if path.name != MARKER:
                count, size = count + 1, size + one_file.size
            if len(path.name) == 64 and one_file.sha256 != path.name:
                damaged.append(path.name)
    for path in _others(place.data):
        with contextlib.suppress(FileNotFoundError):  # an adapter that was removed meanwhile
            where = folder / path.relative_to(place.data)
            files.append(_within(folder, copied(path, where)))
    if broker is not None:
        listed = [json.dumps(letters.whole(one)) + "\n" for one in broker.dead_letters()]
        (folder / LETTERS).write_text("".join(listed))
        files.append(_within(folder, hash_of(folder / LETTERS)))
    bus = names.pop("bus", None)
    manifest = Manifest(
        version=VERSION,
        moment=now.isoformat(timespec="milliseconds"),
        databases=names,
        bus=bus,
        blobs=count,
        bytes=size,
        damaged=damaged,
        bucket=place.bucket,
    )
    manifest.write(folder, files)
    return Manifest.read(folder)


@contextlib.contextmanager
def _held(blobs: Path) -> Iterator[None]:
    """All blobs are held; where there never was one, there is nothing to hold."""
    if not (blobs / MARKER).exists():
        yield
        return
    with holding(blobs):
        yield


def _blob_files(root: Path) -> Iterator[Path]:
    """Blobs, and what has come so far of resumable uploads. Half-written blobs and drawn pages are
    nobody's loss.
    """
    if (root / MARKER).exists():
        yield root / MARKER
    for tenant, ref, _ in aged_below(root, held=True):
        yield root / tenant / ref.owner / ref.sha256[:2] / ref.sha256
    yield from (path for path in root.glob("*/uploads/*") if path.is_file())


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
    source: Path, place: Place, settle: Callable[[Path, Manifest], T]
) -> tuple[Manifest, T]:
    """Bring a backup into an empty place: every file is held against its hash first.

    Args:
        source: the folder of the backup.
        place: an empty or missing data folder, and databases without tables.
        settle: is told the folder, which does not have its final name yet, once all of it is there,
            and sets its rows right; what it raises undoes the folder. Its answer is given back.

    Raises:
        BadBackup: it is none, or not what it was; nothing is left then.
        Conflict: the place is not empty; nothing was changed.
    """
    manifest = Manifest.read(source)
    _require_empty(place.data, "a backup is restored")
    servers = _servers(manifest, place)
    partial = place.data.with_name(place.data.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _brought(source, partial, manifest, with_bus=place.bus is not None)
        for name, url in servers.items():
            load_dump(url, source / manifest.databases[name], name)
        told = settle(partial, manifest)
        os.sync()
        if place.data.exists():
            place.data.rmdir()
        partial.rename(place.data)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest, told


def let_go(stores: Mapping[str, Store], bus: Path | None) -> None:
    """Nobody holds anything of a restored place: relays, consumers, senders of webhooks."""
    for store in stores.values():
        trail.forget_relay(store)
    if bus is not None:
        forget_leases(bus)


def send_again(stores: Mapping[str, Store]) -> int:
    """Let the relays send all that the outboxes still have. Returns how many events these are."""
    return sum(trail.send_all_again(store) for store in stores.values())


def _servers(manifest: Manifest, place: Place) -> dict[str, str]:
    """The databases that a server has: of the kind that the backup has, and empty."""
    servers = {}
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
            servers[name] = url
    for name, url in servers.items():
        if not is_empty(url):
            raise Conflict(
                f"the database of {name} is not empty: make a new one, and name it in "
                f"SMALLPRINT_{name.upper()}_DATABASE_URL"
            )
    return servers


def _brought(source: Path, partial: Path, manifest: Manifest, *, with_bus: bool) -> None:
    """Copy the files of a backup to where they belong, each checked. Raises BadBackup."""
    for file in files_of(source):
        path = Path(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise BadBackup(f"the backup names a file outside of it: {file.path}")
        if path.suffix == ".dump" or file.path == LETTERS:
            found = hash_of(source / path)
        else:
            is_database = path.parts[0] == DATABASES
            target = partial / (path.name if is_database else path)
            if file.path == manifest.bus and not with_bus:
                continue
            try:
                found = copied(source / path, target)
            except OSError as error:
                raise BadBackup(f"the backup lacks {file.path}: {error}") from None
        if (found.sha256, found.size) != (file.sha256, file.size):
            raise BadBackup(
                f"{file.path} of the backup is not what it was: nothing was restored, take another"
            )


def _require_empty(folder: Path, what: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{what} only in a new or empty folder, and {folder} has something in it")
