"""The contents of a backup: `manifest.json`, and `files.jsonl` with a hash for every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from shared.errors import SuiteError

MANIFEST, FILES = "manifest.json", "files.jsonl"
FORMAT = 1
CHUNK = 1 << 20


class BadBackup(SuiteError):
    """The folder is no backup, or a damaged one."""

    code = "bad_backup"


@dataclass(frozen=True)
class File:
    """One file of a backup: its path within it, size and hash."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BackupManifest:
    """The description of a backup. `moment` is the RFC 3339 time of its databases, `databases` are
    files by service, `bus` is the file of the bus (None with a broker). `damaged` are blobs whose
    hash was wrong when they were copied. `files_sha256` is the hash of the list of files.
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
        """Write the manifest, last: without one a folder is no backup."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> BackupManifest:
        """The manifest of a backup. Raises BadBackup."""
        try:
            fields: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
            listed = hash_of(folder / FILES).sha256
        except (OSError, ValueError) as error:
            raise BadBackup(f"{folder} is not a complete backup: {error}") from None
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise BadBackup(f"{folder} is not a backup that this version can read")
        if listed != fields["files_sha256"]:
            raise BadBackup(f"{folder / FILES} is damaged: use another backup")
        return cls(**fields)


class Files:
    """Writes the list of files line by line, since there can be millions."""

    def __init__(self, folder: Path) -> None:
        self.blobs = self.bytes = 0
        self.damaged: list[str] = []
        self._folder = folder
        self._out = (folder / FILES).open("wb")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()

    @property
    def sha256(self) -> str:
        """The hash of the lines written so far."""
        return self._digest.hexdigest()

    def add(self, file: File) -> None:
        """Add a file below the folder."""
        path = Path(file.path).relative_to(self._folder).as_posix()
        line = json.dumps({**asdict(file), "path": path}, ensure_ascii=True).encode() + b"\n"
        self._digest.update(line)
        self._out.write(line)

    def add_blob(self, file: File) -> None:
        """Add and count a blob or an unfinished upload."""
        self.add(file)
        self.blobs += 1
        self.bytes += file.size


def files_of(folder: Path) -> Iterator[File]:
    """The files of a backup whose manifest was read."""
    with (folder / FILES).open("rb") as lines:
        for line in lines:
            yield File(**json.loads(line))


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading."""
    return path.open("rb")


def copied(source: Path, target: Path, open_it: Callable[[Path], BinaryIO] = open_plain) -> File:
    """Copy a file. Returns the path of the copy, its size and hash. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with open_it(source) as read, target.open("xb") as write:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            write.write(chunk)
    return File(str(target), size, digest.hexdigest())


def hash_of(path: Path) -> File:
    """Path, size and hash of a file."""
    with path.open("rb") as file:
        return File(str(path), path.stat().st_size, sha256_of(file))


def sha256_of(stream: BinaryIO) -> str:
    """The hash of the rest of a stream."""
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
