"""Handle documents that arrive in a folder, and then move them.

    FOLDER/done/…      successful documents
    FOLDER/failed/…    failed documents; the receipt has the reason
    RESULTS/….json     a receipt for each

A maildir keeps its form: its mails go to its folders `done` and `failed` (`.done`, `.failed`),
where mail programs show them.

The receipt is written before the file is moved. So after a crash in between, the next watcher finds
the receipt and only moves the file. Nothing is overwritten: a second `lease.pdf` becomes
`lease-2.pdf`, with a receipt of that name.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.cli.documents.batch import FileReader
from services.cli.documents.claims import Claims
from services.cli.documents.files import (
    Results,
    UnreadableFile,
    files_below,
    is_of,
    mail_name,
    maildir_of,
    read_file,
    sha256,
    sync_folder,
)
from services.cli.output.lines import error_line
from shared.errors import NotFound

DONE, FAILED = "done", "failed"
EMPTY_SECONDS = 60.0  # seconds for which an empty file counts as not yet written
REST_SECONDS = 60.0  # seconds until a file that could not be read or moved is tried again
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".swp")
"""File names that programs use while they write."""

Stamp = tuple[int, int, int]  # size in bytes, time of the last change in nanoseconds, inode


@dataclass
class _Seen:
    """The last stamp of a file, and since when it has been the same, by our own clock."""

    stamp: Stamp
    since: float
    named: bool = False  # whether the user knows that it is empty


class Leases:
    """Asks the kernel whether a process on this machine has a file open for writing.

    It asks for a read lease, which an open file can't get. That works on file systems with leases,
    for the user's own files; elsewhere no file counts as open.

    Args:
        folder: where an unused file shows whether leases work.
    """

    def __init__(self, folder: Path) -> None:
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when another process opens the file
        probe = folder / f".lease-{os.getpid()}"
        probe.touch()
        try:
            self._work = _gets_lease(probe) is True
        finally:
            probe.unlink()

    def written(self, path: Path) -> bool:
        """Whether a file is known to be open for writing."""
        return self._work and _gets_lease(path) is False


def _gets_lease(path: Path) -> bool | None:
    """Return whether this process gets a read lease on the file, which a writer prevents.

    None if it may not ask for one, such as for another user's file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(handle)
    return True


@dataclass
class FolderWatcher:
    """Handles files that arrive in a folder, and counts them. Several watchers can share a folder.

    Args:
        folder: as the caller wrote it.
        settle: seconds without a change after which a file is complete.
        tell: is called with the reason if a file stays where it is.
        clock: in seconds.
    """

    folder: Path
    work: FileReader
    results: Results
    settle: float = 2.0
    tell: Callable[[str], None] = print
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _resting: dict[str, float] = field(default_factory=dict)  # files to leave alone, and until when

    def __post_init__(self) -> None:
        self._claims = Claims(self.results.folder)
        self._claims.require_locks()
        self._leases = Leases(self.folder)

    @property
    def own(self) -> tuple[Path, ...]:
        """The folders of the watcher, which get no documents."""
        return (self.folder / DONE, self.folder / FAILED, self.results.folder)

    def complete_files(self) -> list[str]:
        """The files that are complete now."""
        now = self.clock()
        seen: dict[str, _Seen] = {}
        ready: list[str] = []
        left_mails = (f".{DONE}", f".{FAILED}")
        for path in files_below(str(self.folder), *self.own, but_mails_in=left_mails):
            source = Path(path)
            stamp = _stamp(source)
            if stamp is None or _is_unfinished(source.name):
                continue
            before = self._seen.get(path)
            seen[path] = before if before and before.stamp == stamp else _Seen(stamp, now)
            self._name_if_empty(path, seen[path], now)
            if now - seen[path].since >= self._patience(source, stamp) and self._may_be_taken(
                path, now
            ):
                ready.append(path)
        self._seen = seen
        self._resting = {path: end for path, end in self._resting.items() if path in seen}
        return ready

    def _name_if_empty(self, path: str, seen: _Seen, now: float) -> None:
        if not seen.stamp[0] and not seen.named and now - seen.since >= self.settle:
            seen.named = True
            self.tell(f"{path}: empty, waiting {EMPTY_SECONDS:.0f} s for its content")

    def next_look(self, most: float) -> float:
        """Seconds until a file may be complete; `most` if none is being written."""
        now = self.clock()
        ends = [
            seen.since + self._patience(Path(path), seen.stamp) - now
            for path, seen in self._seen.items()
        ]
        return min([most, *(end for end in ends if end > 0)])

    def file(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The line of a file, after its receipt is stored and the file is moved.

        None if another watcher has it, or if it is not complete after all.
        """
        source = Path(path)
        with ExitStack() as claims:
            line = None
            if claims.enter_context(self._claims.claim(self.results.name(source))):
                try:
                    line = self._line(source, claims)
                except OSError as error:  # an error of the file system, not of the document
                    self._leave(path, f"left where it is: {error.strerror or error}")
        if line is not None:
            self.failed += "error" in line
            self.done += "error" not in line
            yield line

    def _line(self, source: Path, claims: ExitStack) -> Mapping[str, Any] | None:
        stamp = _stamp(source)
        if stamp is None:
            return None  # it has just been moved
        digest, maker, data = None, None, b""
        failure = None
        try:
            data = read_file(str(source), self.work.most_bytes)
            digest, maker = sha256(data), self.work.maker(str(source), data)
        except NotFound:
            return None
        except UnreadableFile as error:
            self._leave(str(source), error.message)
            return None
        except Exception as error:  # noqa: BLE001 - one bad file must not cost the others
            failure = self._failure(source, error)
        path, line = self._free_path(source, digest, maker, claims)
        line = failure or line or self._result(source, data)
        if _stamp(source) != stamp:
            return None  # it changed meanwhile, so it was not complete
        target = self._target(path, FAILED if "error" in line else DONE)
        line = {**line, "source": str(source), "moved_to": str(target)}
        self.results.keep(path, line, digest, maker)
        self._move(source, target)
        return line

    def _result(self, source: Path, data: bytes) -> dict[str, Any]:
        try:
            return dict(self.work.result(str(source), data))
        except Exception as error:  # noqa: BLE001 - the same
            return self._failure(source, error)

    def _failure(self, source: Path, error: Exception) -> dict[str, Any]:
        if getattr(error, "ends_all", False):
            raise error
        return error_line(str(source), error)

    def _free_path(
        self, source: Path, digest: str | None, maker: str | None, claims: ExitStack
    ) -> tuple[Path, dict[str, Any] | None]:
        """The new name of a file, and an earlier result of the same bytes."""
        earlier = None
        for number in itertools.count(1):
            path = _numbered(source, number)
            receipt = self.results.receipt(path)
            fits = receipt is not None and is_of(receipt, digest, maker)
            if fits and receipt and "error" not in receipt:
                earlier = receipt
            if (receipt is not None and not fits) or self._is_taken(path):
                continue
            if number == 1:
                return path, earlier
            if not path.exists() and claims.enter_context(
                self._claims.claim(self.results.name(path))
            ):
                return path, earlier
        raise AssertionError  # the count is endless

    def _is_taken(self, path: Path) -> bool:
        return any(self._target(path, which).exists() for which in (DONE, FAILED))

    def _target(self, path: Path, which: str) -> Path:
        maildir = maildir_of(path)
        if maildir is None:
            return self.folder / which / path.relative_to(self.folder)
        flags = path.name.removeprefix(mail_name(path)) or ":2,"
        return maildir / f".{which}" / "cur" / f"{mail_name(path)}{flags}"

    def _move(self, source: Path, target: Path) -> None:
        maildir = maildir_of(source)
        if maildir is not None:
            for name in ("cur", "new", "tmp"):
                _make(target.parent.parent / name, like=maildir)
            (target.parent.parent / "maildirfolder").touch()
        _make(target.parent, like=self.folder)
        source.rename(target)
        sync_folder(target.parent)

    def _patience(self, source: Path, stamp: Stamp) -> float:
        """Seconds without a change after which a file is complete; 0 in a maildir."""
        if maildir_of(source):
            return 0.0
        return self.settle if stamp[0] else max(self.settle, EMPTY_SECONDS)

    def _may_be_taken(self, path: str, now: float) -> bool:
        return self._resting.get(path, now) <= now and not self._leases.written(Path(path))

    def _leave(self, path: str, reason: str) -> None:
        if path not in self._resting:
            self.tell(f"{path}: {reason}")
        self._resting[path] = self.clock() + REST_SECONDS


def _stamp(path: Path) -> Stamp | None:
    """None if there is no such file, or it can't be read."""
    with suppress(OSError):
        status = path.stat()
        return status.st_size, status.st_mtime_ns, status.st_ino
    return None


def _is_unfinished(name: str) -> bool:
    return name.startswith("~$") or name.lower().endswith(UNFINISHED)


def _numbered(source: Path, number: int) -> Path:
    """`lease.pdf`, `lease-2.pdf`, `lease-3.pdf` …"""
    if number == 1:
        return source
    if maildir_of(source):
        stable = mail_name(source)
        return source.with_name(f"{stable}-{number}{source.name.removeprefix(stable)}")
    return source.with_name(f"{source.stem}-{number}{source.suffix}")


def _make(folder: Path, like: Path) -> None:
    """Make a folder with the permissions of the watched one."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(like.stat().st_mode & 0o777)


class Stop:
    """Ends a loop after the current file at Ctrl-C or SIGTERM; the second time at once."""

    def __init__(self, finishing: Callable[[], None]) -> None:
        self._finishing = finishing
        self._requested = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return self._requested

    def _ask(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        self._requested = True
        self._finishing()
