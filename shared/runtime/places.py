"""Where an error came from, for the dead letter of the event that it ended."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

LINES = 40
"""Places that are named at the most; the last ones, which are nearest to the error."""


def places(error: BaseException) -> str:
    """The types of an error and of those before it, each with the lines of the code it came by.

    Messages are left out: they may quote a document, and a dead letter outlives its deletion. The
    log has them, under the id of the event.
    """
    lines = list(_of(traceback.TracebackException.from_exception(error)))
    if len(lines) > LINES:
        lines = ["…", *lines[-LINES:]]
    return "\n".join(lines)


def _of(told: traceback.TracebackException) -> Iterator[str]:
    before = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    if before is not None:
        yield from _of(before)
        yield "then"
    for frame in told.stack:
        yield f"  {_short(frame.filename)}:{frame.lineno} {frame.name}"
    yield _name(told)


def _name(told: traceback.TracebackException) -> str:
    kind = told.exc_type
    if kind is None:
        return "an error"
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _short(filename: str) -> str:
    """The end of a path: where the suite is installed is nobody's business."""
    return "/".join(Path(filename).parts[-3:])
