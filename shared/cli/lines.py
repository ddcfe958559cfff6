"""What a command prints about its files, and the exit code that follows from it.

With `--json` standard output carries JSON lines alone, one a file, in the order of the files.
Without it each file is a few lines for a person; whatever comes from a document is shown without
its control characters, so that no document steers the terminal.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from shared.errors import SuiteError

log = logging.getLogger(__name__)

ALL, SOME_FAILED, NONE_WORKED = 0, 1, 2
"""Exit codes: a file of which only a part could be read counts as worked."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class OutputClosed(Exception):
    """Nobody reads standard output any more."""


def write(data: bytes) -> None:
    """Write to standard output and flush. Raises OutputClosed if the reader has gone."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def discard_output() -> None:
    """Let the interpreter end without a complaint about a closed standard output."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_json(line: Mapping[str, Any]) -> bytes:
    """One JSON line in UTF-8; a file name that is not UTF-8 is escaped."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, allow_nan=False).encode() + b"\n"


def plain(text: str) -> str:
    """Text from outside on one line, without control characters."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in spaced)


def of_machine(error: OSError) -> str | None:
    """A line about what this machine refuses: room, or access to a file. None for any other error,
    which may be a bug.
    """
    where = f" ({plain(str(error.filename))})" if error.filename is not None else ""
    if error.errno in _FULL:
        return f"no room is left on the disk{where}: make some, then say it again"
    if error.errno in _REFUSED:
        return f"{error.strerror}{where}: who runs this may not, or the disk takes nothing"
    return None


def error_of(error: BaseException) -> dict[str, str]:
    """`type` and `detail` of an error, for an error line."""
    if isinstance(error, SuiteError):
        return {"type": error.code, "detail": error.message}
    return {"type": "internal", "detail": f"{type(error).__name__}: {error}"}


def error_line(source: str, error: Exception) -> dict[str, Any]:
    """The line about a source that failed, with its `parts` if the error has any.

    What is no error of ours is a bug, and goes to the log.
    """
    if not isinstance(error, SuiteError):
        log.warning("%s: a bug on our side", plain(source), exc_info=error)
    parts = getattr(error, "parts", None)
    return {"source": source, "error": error_of(error), **({"parts": parts} if parts else {})}


class Lines:
    """Counts what worked and prints it.

    Args:
        as_json: JSON lines, or lines for a person.
        table: the lines for a person about one result.
    """

    def __init__(
        self, *, as_json: bool, table: Callable[[Mapping[str, Any]], Iterable[str]]
    ) -> None:
        self.as_json = as_json
        self.table = table
        self.worked = 0
        self.failed = 0

    def result(self, line: Mapping[str, Any]) -> None:
        """A result, or a failure if it has `error`; what was read of it all the same is shown."""
        if "error" in line:
            self.failed += 1
        else:
            self.worked += 1
        if self.as_json:
            write(to_json(line))
        elif "error" in line and not line.get("narrative_flags"):
            error = line["error"]
            print(f"{plain(line['source'])}: {plain(error['detail'])}", file=sys.stderr)
        else:
            write("".join(f"{row}\n" for row in self.table(line)).encode("utf-8", "replace"))

    @property
    def exit_code(self) -> int:
        """0 all worked, 1 some failed, 2 none worked."""
        if not self.failed:
            return ALL
        return SOME_FAILED if self.worked else NONE_WORKED
