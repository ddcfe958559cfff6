"""What a backup consists of: `manifest.json`, and `files.jsonl` with a hash for every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from shared.errors import SuiteError

MANIFEST, FILES = "manifest.json", "files.jsonl"
FORMAT = 1
CHUNK = 1 << 20


class BadBackup(SuiteError):
    """A folder is no backup, or not all of it is what it was."""

    code = "bad_backup"


@dataclass(frozen=True)
class File:
    """One file of a backup: its path within it, and what it was when it was copied."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`moment` is what the databases show, RFC 3339; `databases` are files by service; `bus` is the
    file of the bus, or None where a broker carries the events. `damaged` are blobs that were not
    what their hash says when they were copied.
    """

    version: str
    moment: str
    databases: dict[str, str]
    bus: str | None
    blobs: int
    bytes: int
    damaged: list[str] = field(default_factory=list)
    bucket: str = ""
    format: int = FORMAT
    files_sha256: str = ""

    def write(self, folder: Path, files: Iterable[File]) -> None:
        """Write both files, the manifest last: without it a folder is no backup."""
        digest = hashlib.sha256()
        with (folder / FILES).open("wb") as out:
            for one in files:
                line = json.dumps(asdict(one), ensure_ascii=True).encode() + b"\n"
                digest.update(line)
                out.write(line)
        told = {**asdict(self), "files_sha256": digest.hexdigest()}
        (folder / MANIFEST).write_text(json.dumps(told, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a backup. Raises BadBackup."""
        try:
            told: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
            listed = hashlib.sha256((folder / FILES).read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            raise BadBackup(f"{folder} is no whole backup: {error}") from None
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise BadBackup(f"{folder} is no backup that this version can read")
        if listed != told["files_sha256"]:
            raise BadBackup(f"{folder / FILES} is not what it was: take another backup")
        return cls(**told)


def files_of(folder: Path) -> Iterator[File]:
    """The files of a backup that `Manifest.read` has taken."""
    with (folder / FILES).open("rb") as lines:
        for line in lines:
            yield File(**json.loads(line))


def open_plain(path: Path) -> BinaryIO:
    """A file as it is."""
    return path.open("rb")


def copied(source: Path, target: Path, open_it: Callable[[Path], BinaryIO] = open_plain) -> File:
    """Copy a file, and what it was; its path is the target's. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with open_it(source) as read, target.open("xb") as write:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            write.write(chunk)
    return File(str(target), size, digest.hexdigest())


def hash_of(path: Path) -> File:
    """What a file is that was written here."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as read:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return File(str(path), size, digest.hexdigest())
