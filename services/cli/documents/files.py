"""Find files of a command, read them up to a limit, and write files atomically."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from shared.errors import DocumentTooLarge, NotFound, SettingsError, SuiteError

STANDARD_INPUT = "-"


class UnreadableFile(SuiteError):
    """The file can't be opened."""

    code = "unreadable_file"


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """A file open for reading; `-` is standard input. Raises NotFound or UnreadableFile, also for
    errors in the block.
    """
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    if "\0" in path:
        raise NotFound("there is no such file", document=path)
    try:
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound("there is no such file", document=path) from None
    except IsADirectoryError:
        raise UnreadableFile(
            "this is a folder: name its files, or use `smallprint batch`", document=path
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableFile(f"the file can't be read: {reason}", document=path) from None


@contextmanager
def saved_file(path: str) -> Iterator[Path]:
    """The path of a file that is read several times; standard input is saved until then."""
    if path != STANDARD_INPUT:
        yield Path(path)
        return
    with TemporaryDirectory() as folder:
        file = Path(folder, "standard-input")
        file.write_bytes(sys.stdin.buffer.read())
        yield file


def read_file(path: str, most: int) -> bytes:
    """The bytes of a file. Raises NotFound, UnreadableFile, or DocumentTooLarge above `most`."""
    with open_file(path) as file:
        return read_stream(file, path, most)


def read_stream(file: BinaryIO, path: str, most: int) -> bytes:
    """The rest of an open file. Raises DocumentTooLarge above `most` bytes."""
    data = file.read(most + 1)
    if len(data) > most:
        raise DocumentTooLarge(
            f"the file has more than {most:,} bytes (setting SMALLPRINT_INGEST_MAX_BYTES)",
            document=path,
        )
    return data


def files_below(folder: str, *without: Path, but_mails_in: Collection[str] = ()) -> Iterator[str]:
    """The files below a folder in a stable order, without hidden ones and the folders `without`.

    Paths start with the folder as given. A maildir gives its delivered mails, also those of its
    subfolders, but not of the maildirs in `but_mails_in`.
    """
    skipped = {path.resolve() for path in without}
    for root, folders, names in os.walk(folder):
        is_mails = is_maildir(Path(root))
        folders[:] = sorted(
            name
            for name in folders
            if _is_entered(Path(root, name), is_mails)
            and not (is_mails and name in but_mails_in)
            and Path(root, name).resolve() not in skipped
        )
        for name in sorted(() if is_mails else names):
            if not name.startswith(".") and Path(root, name).is_file():
                yield os.path.join(root, name)  # noqa: PTH118 - as the caller wrote it


def is_maildir(folder: Path) -> bool:
    """Whether a folder is a maildir, with `new`, `cur` and `tmp`."""
    return all((folder / name).is_dir() for name in ("cur", "new", "tmp"))


def _is_entered(folder: Path, below_maildir: bool) -> bool:
    if below_maildir:
        return folder.name in ("cur", "new") or is_maildir(folder)
    return not folder.name.startswith(".")


def maildir_of(path: Path) -> Path | None:
    """The maildir of a mail; None for any other file."""
    folder = path.parent
    return folder.parent if folder.name in ("cur", "new") and is_maildir(folder.parent) else None


def mail_name(path: Path) -> str:
    """The stable name of a mail: mail programs change the flags after the colon."""
    return path.name.partition(":2,")[0]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file durably and atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renamed files in a folder survive a power cut, if the file system can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def missing_database(path: Path) -> SettingsError:
    """The error for a data folder without this database."""
    return SettingsError(
        f"{path.parent.absolute()} is not the data folder of a suite: it has no {path.name}. Name "
        "the folder with --data or SMALLPRINT_DATA"
    )


def require_database(path: Path, *, create: bool) -> None:
    """Raise SuiteError unless there is an SQLite database, or a folder for a new one."""
    folder = path.parent
    advice = "choose another with --data or SMALLPRINT_DATA"
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        if create:
            return
        raise missing_database(path) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SuiteError(f"the data folder {folder} can't be used ({reason}): {advice}") from None
    if head and not head.startswith(b"SQLite format 3"):
        raise SuiteError(f"{path} is not an SQLite database: {advice}")


class Results:
    """The folder of a batch's results: `<name of the input>.json` each, and `summary.json`.

    A receipt is the result of one file, or its failure. It counts as done if its bytes and `maker`
    (model and options) are the same. So an interrupted batch continues, and a changed file or model
    gets a new result. Failures are tried again.

    The receipt of a mail has the stable part of its name, whichever folder of the maildir it is in.
    """

    SUMMARY = "summary.json"

    def __init__(self, folder: Path, inputs: Path) -> None:
        self.folder = folder
        self.inputs = inputs

    def require_writable(self) -> None:
        """Make the folder, and test that it is writable. Raises SuiteError."""
        probe = self.folder / f".probe-{secrets.token_hex(8)}"
        try:
            write_whole(probe, b"")
            probe.unlink()
        except OSError as error:
            raise SuiteError(
                f"the folder of results can't be used: {self.folder} "
                f"({error.strerror or error}): choose another with --out"
            ) from None

    def name(self, source: Path) -> str:
        """The name of an input: its path below the folder of inputs."""
        maildir = maildir_of(source)
        stable = source if maildir is None else maildir / mail_name(source)
        return str(stable.relative_to(self.inputs))

    def path(self, source: Path) -> Path:
        """The path of the receipt of an input."""
        path = self.folder / f"{self.name(source)}.json"
        summary = self.folder / self.SUMMARY
        return path.with_suffix(".result.json") if path == summary else path

    def receipt(self, source: Path) -> dict[str, Any] | None:
        """The receipt of an input for any bytes; None if there is none."""
        try:
            found = json.loads(self.path(source).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("batch"), dict) else None

    def done(self, source: Path, sha256: str, maker: str) -> dict[str, Any] | None:
        """The finished result of these bytes by this maker, or None."""
        found = self.receipt(source)
        return found if found and "error" not in found and is_of(found, sha256, maker) else None

    def keep(
        self, source: Path, line: Mapping[str, Any], sha256: str | None, maker: str | None
    ) -> None:
        """Write the receipt of an input; without hash or maker if they are unknown."""
        marked = {**line, "batch": {"sha256": sha256, "maker": maker}}
        write_whole(self.path(source), _laid_out(marked).encode("utf-8", "backslashreplace"))

    def summarise(self, summary: Mapping[str, Any]) -> Path:
        """Write the summary. Returns its path."""
        path = self.folder / self.SUMMARY
        text = json.dumps(summary, ensure_ascii=False, indent=1) + "\n"
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        return path


def is_of(receipt: Mapping[str, Any], sha256: str | None, maker: str | None) -> bool:
    """Whether a receipt is for these bytes and this maker."""
    return bool(receipt["batch"] == {"sha256": sha256, "maker": maker})


def _laid_out(result: Mapping[str, Any]) -> str:
    """A JSON object with a line for each clause or filing."""

    def lines(value: Any) -> str:
        if isinstance(value, list) and value:
            return "[\n  " + ",\n  ".join(map(one_line, value)) + "\n ]"
        return one_line(value)

    def one_line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    parts = [f" {one_line(name)}: {lines(value)}" for name, value in result.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def sha256(data: bytes) -> str:
    """The hash of a document."""
    return hashlib.sha256(data).hexdigest()
