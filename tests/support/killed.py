"""Simulate a process that is killed at an exact moment, within this process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from shared.messaging import UnitOfWork

MARK = b"smallprint: document "


class Killed(BaseException):
    """Simulates the death of a process."""


class KilledAfterCommit(UnitOfWork):
    """Dies right after its commit."""

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
    """Dies after blobs are written, and before the transaction that names them."""

    def __enter__(self) -> KilledAfterPut:
        raise Killed


def blobs_below(folder: Path) -> set[str]:
    """The names of all blobs, without marks of deleted documents."""
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and len(path.name) == 64 and not path.read_bytes().startswith(MARK)
    }
