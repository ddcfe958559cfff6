"""What a backup consists of: `manifest.json`, and `files.jsonl` with a hash for every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
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
    what their hash says when they were copied. `files_sha256` is the hash of the list of files.
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

    def write(self, folder: Path) -> None:
        """Write it, after the list of files: without it a folder is no backup."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a backup. Raises BadBackup."""
        try:
            told: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
            listed = hash_of(folder / FILES).sha256
        except (OSError, ValueError) as error:
            raise BadBackup(f"{folder} is no whole backup: {error}") from None
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise BadBackup(f"{folder} is no backup that this version can read")
        if listed != told["files_sha256"]:
            raise BadBackup(f"{folder / FILES} is not what it was: take another backup")
        return cls(**told)


class Files:
    """The list of files while it is written, line by line: there can be millions."""

    def __init__(self, folder: Path) -> None:
        self.blobs = self.bytes = 0
        self.damaged: list[str] = []
        self._out = (folder / FILES).open("wb")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        return self._digest.hexdigest()

    def add(self, file: File) -> None:
        """Write the line of a file."""
        line = json.dumps(asdict(file), ensure_ascii=True).encode() + b"\n"
        self._digest.update(line)
        self._out.write(line)

    def add_blob(self, file: File) -> None:
        """The same, and count it: a blob, or what has come so far of an upload."""
        self.add(file)
        self.blobs += 1
        self.bytes += file.size


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
