"""The origin of an error, for the dead letter of its event."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

LINES = 40
"""Most lines of a traceback: the last, nearest to the error."""


def places(error: BaseException) -> str:
    """The types of an error and of its causes, each with the lines of its traceback.

    Messages are left out: they may quote a document, and a dead letter outlives its deletion. The
    log has them under the id of the event.
    """
    lines = list(_of(traceback.TracebackException.from_exception(error)))
    if len(lines) > LINES:
        lines = ["…", *lines[-LINES:]]
    return "\n".join(lines)


def _of(error: traceback.TracebackException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _of(before)
        yield "then"
    for frame in error.stack:
        yield f"  {_short(frame.filename)}:{frame.lineno} {frame.name}"
    yield _name(error)


def _name(error: traceback.TracebackException) -> str:
    kind = error.exc_type
    if kind is None:
        return "an error"
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _short(filename: str) -> str:
    """The end of a path, without the folder of the installation."""
    return "/".join(Path(filename).parts[-3:])
