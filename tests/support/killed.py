"""A process that is killed at one exact moment, for tests in this process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from shared.messaging import UnitOfWork

MARK = b"smallprint: document "


class Killed(BaseException):
    """The process is dead."""


class KilledAfterCommit(UnitOfWork):
    """Commits; nothing that comes after it is done."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            raise Killed


class KilledAfterPut(UnitOfWork):
    """Blobs are written; the transaction that was to name them never begins."""

    def __enter__(self) -> KilledAfterPut:
        raise Killed


def blobs_below(folder: Path) -> set[str]:
    """The names of all blobs, without the marks of deleted documents."""
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and len(path.name) == 64 and not path.read_bytes().startswith(MARK)
    }
