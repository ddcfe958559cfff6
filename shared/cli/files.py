"""Files of a command: read with a limit, found in a folder, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from shared.errors import DocumentTooLarge, NotFound, SuiteError


class UnreadableFile(SuiteError):
    """The file can't be opened."""

    code = "unreadable_file"


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """A file open for reading. Raises NotFound or UnreadableFile, also for errors in the block."""
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


def files_below(folder: str, without: Path) -> Iterator[str]:
    """The files below a folder in a lasting order, without hidden ones and the folder `without`.

    Each is named as the folder is, with what lies below it joined. Of a maildir the mails are
    taken, those of the folders in it as well; not what is being delivered, nor a server's files.
    """
    without = without.resolve()
    for root, folders, names in os.walk(folder):
        is_mails = _is_maildir(Path(root))
        folders[:] = sorted(
            name
            for name in folders
            if _is_entered(Path(root, name), is_mails) and Path(root, name).resolve() != without
        )
        for name in sorted(() if is_mails else names):
            if not name.startswith(".") and Path(root, name).is_file():
                yield os.path.join(root, name)  # noqa: PTH118 - as the caller wrote it


def _is_maildir(folder: Path) -> bool:
    """Whether mails are delivered here: a file each in `new`, then `cur`, written in `tmp`."""
    return all((folder / name).is_dir() for name in ("cur", "new", "tmp"))


def _is_entered(folder: Path, below_maildir: bool) -> bool:
    if below_maildir:
        return folder.name in ("cur", "new") or _is_maildir(folder)
    return not folder.name.startswith(".")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file durably; nobody ever sees half of it, and a failure leaves what was there."""
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


def require_database(path: Path, *, create: bool) -> None:
    """Raise SuiteError unless there is an SQLite database, or a folder for a new one."""
    folder = path.parent
    mend = "choose another with --data or SMALLPRINT_DATA"
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        if create:
            return
        raise SuiteError(f"the data folder {folder} has no keys: {mend}") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SuiteError(f"the data folder {folder} can't be used ({reason}): {mend}") from None
    if head and not head.startswith(b"SQLite format 3"):
        raise SuiteError(f"{path} is no database of keys: {mend}")


class Results:
    """The folder of a batch's results: `<name of the input>.json` each, and `summary.json`.

    A result counts as done if it is of the same bytes and made by the same `maker` (model and
    options); so a batch that was cut off goes on where it stopped, and a changed file or model is
    worked on again. Failures are tried again.
    """

    SUMMARY = "summary.json"

    def __init__(self, folder: Path, inputs: Path) -> None:
        self.folder = folder
        self.inputs = inputs

    def require_writable(self) -> None:
        """Make the folder and try it, before there is anything to lose. Raises SuiteError."""
        try:
            write_whole(self.folder / ".probe", b"")
            (self.folder / ".probe").unlink()
        except OSError as error:
            raise SuiteError(
                f"the folder of the results can't be used: {self.folder} "
                f"({error.strerror or error}): choose another with --out"
            ) from None

    def path(self, source: Path) -> Path:
        """Where the result of an input lies."""
        relative = source.relative_to(self.inputs)
        path = self.folder / relative.with_name(relative.name + ".json")
        summary = self.folder / self.SUMMARY
        return path.with_suffix(".result.json") if path == summary else path

    def done(self, source: Path, sha256: str, maker: str) -> dict[str, Any] | None:
        """The finished result of these bytes by this maker, or None."""
        try:
            found = json.loads(self.path(source).read_bytes())
        except (OSError, ValueError):
            return None
        fits = isinstance(found, dict) and found.get("batch") == {"sha256": sha256, "maker": maker}
        return found if fits and "error" not in found else None

    def keep(self, source: Path, result: Mapping[str, Any], sha256: str, maker: str) -> None:
        """Write the result of one input."""
        marked = {**result, "batch": {"sha256": sha256, "maker": maker}}
        write_whole(self.path(source), _laid_out(marked).encode("utf-8", "backslashreplace"))

    def forget(self, source: Path) -> None:
        """Take away the result of an input, if there is one."""
        self.path(source).unlink(missing_ok=True)

    def summarise(self, summary: Mapping[str, Any]) -> Path:
        """Write the summary; returns where."""
        path = self.folder / self.SUMMARY
        text = json.dumps(summary, ensure_ascii=False, indent=1) + "\n"
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        return path


def _laid_out(result: Mapping[str, Any]) -> str:
    """A JSON object with a line a clause or filing."""

    def lines(value: Any) -> str:
        if isinstance(value, list) and value:
            return "[\n  " + ",\n  ".join(map(one_line, value)) + "\n ]"
        return one_line(value)

    def one_line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    parts = [f" {one_line(name)}: {lines(value)}" for name, value in result.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def sha256(data: bytes) -> str:
    """The hash that documents are known by."""
    return hashlib.sha256(data).hexdigest()
