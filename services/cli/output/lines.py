"""Print the results of a command, and keep its exit code.

With `--json` standard output has only JSON lines, one per file, in the order of the files. Without
it each file has a few lines for a person. Text from documents is shown without control characters,
so that no document controls the terminal.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from shared.errors import SuiteError

if TYPE_CHECKING:
    from services.cli.output.sheets import Sheet

log = logging.getLogger(__name__)

# exit codes; a partly read file counts as worked
ALL, SOME_FAILED, NONE_WORKED, FLAGGED, WRONG_USAGE = 0, 1, 2, 3, 64

MOST_WARNINGS = 3
"""Warnings of a file that are printed by commands for many files."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class OutputClosed(Exception):
    """The reader of standard output is gone."""


def write(data: bytes) -> None:
    """Write to standard output and flush. Raises OutputClosed if the reader is gone."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def discard_output() -> None:
    """Keep the interpreter from complaining about a closed standard output."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_json(line: Mapping[str, Any]) -> bytes:
    """One JSON line in UTF-8; a file name that is not UTF-8 is escaped."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, allow_nan=False).encode() + b"\n"


def write_rows(rows: Iterable[str], *, whole: bool = False) -> None:
    """Print lines for people, with commands that can be pasted. Characters that UTF-8 lacks become
    question marks.

    Args:
        whole: never break a line, also if it is wider than the terminal.
    """
    shown = (row if whole else wrapped(row, sys.stdout) for row in map(pasteable, rows))
    write("".join(f"{row}\n" for row in shown).encode("utf-8", "replace"))


def wrapped(row: str, stream: TextIO) -> str:
    """A line broken between words if it is wider than the terminal. Commands in backquotes stay
    whole.
    """
    width = shutil.get_terminal_size().columns
    if len(row) <= width or not stream.isatty():
        return row
    indent = " " * (len(row) - len(row.lstrip()) + 2)
    joined = re.sub("`[^`]*`", lambda command: command[0].replace(" ", "\0"), row)
    lines = textwrap.wrap(
        joined, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace("\0", " ")


def print_line(line: Mapping[str, Any], rows: Iterable[str], *, as_json: bool) -> None:
    """Print a result as a JSON line, or as lines for a person."""
    if as_json:
        write(to_json(line))
    else:
        write_rows(rows)


@cache
def program() -> str:
    """This command as a shell can call it: by its full path, unless the shell finds it by name."""
    own = Path(sys.executable).with_name("smallprint")
    found = shutil.which("smallprint")
    if not own.exists() or (found and own.samefile(found)):
        return "smallprint"
    return str(own)


def pasteable(text: str) -> str:
    """A text whose `smallprint …` commands in backquotes can be pasted into a shell."""
    return text.replace("`smallprint ", f"`{shlex.quote(program())} ")


def print_hint(text: str) -> None:
    """Print a hint to standard error, with commands that can be pasted."""
    click.echo(wrapped(pasteable(text), sys.stderr), err=True)


def print_failure(message: str) -> None:
    """Print a message to standard error, in red on a terminal, with commands that can be pasted."""
    text = wrapped(pasteable(message), sys.stderr)
    click.secho(text, fg="red", err=True, color=False if os.environ.get("NO_COLOR") else None)


def clause_text(clause: Mapping[str, Any]) -> str:
    """The text of a clause without page numbers and running heads within."""
    text: str = clause["text"]
    if not clause.get("omitted"):
        return text
    from shared.documents.model.clause_text import own_words

    omitted = ((span["start"], span["end"]) for span in clause["omitted"])
    return own_words(text, clause["start"], omitted)


def plain(text: str) -> str:
    """Outside text on one line, without control characters."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in spaced)


def count(number: int, what: str) -> str:
    """A number of things, such as `1 page` or `2 pages`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def container(media_type: str) -> str:
    """`mail` or `archive`; empty for other types."""
    from shared.documents.model.formats import ARCHIVES, MAILS

    return "mail" if media_type in MAILS else "archive" if media_type in ARCHIVES else ""


def percent(share: float) -> str:
    """A stated share as a percentage, such as `5%` or `0.5%`."""
    return f"{100 * share:g}%"


def moment(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second; None stays None."""
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None


def minute(time: datetime) -> str:
    """A time for people: UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def result_json(result: Any) -> dict[str, Any]:
    """The fields of a result of the client, with times as text."""

    def fields(items: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        return {key: moment(v) if isinstance(v, datetime) else v for key, v in items}

    return asdict(result, dict_factory=fields)


def rounded_timings(**seconds: float) -> dict[str, float]:
    """The seconds of each part and their total, to the microsecond."""
    parts = {name: round(value, 6) for name, value in seconds.items()}
    return {**parts, "total": round(sum(seconds.values()), 6)}


def machine_error(error: OSError) -> str | None:
    """A message about an error of this machine, such as a full disk or a forbidden file. None for
    other errors, which may be bugs.
    """
    where = f" ({plain(str(error.filename))})" if error.filename is not None else ""
    if error.errno in _FULL:
        return f"the disk is full{where}: free some space, then run the command again"
    if error.errno in _REFUSED:
        return f"{error.strerror}{where}: no permission, or a read-only disk"
    return None


def error_of(error: BaseException) -> dict[str, str]:
    """`type` and `detail` of an error line."""
    if isinstance(error, SuiteError):
        return {"type": error.code, "detail": error.message}
    return {"type": "internal", "detail": f"{type(error).__name__}: {error}"}


def error_line(source: str, error: Exception) -> dict[str, Any]:
    """The line of a source that failed, with its `parts` if the error has any.

    An unexpected error is a bug and goes to the log.
    """
    if not isinstance(error, SuiteError):
        log.warning("%s: a bug in smallprint", plain(source), exc_info=error)
    parts = getattr(error, "parts", None)
    return {"source": source, "error": error_of(error), **({"parts": parts} if parts else {})}


class OutputWriter:
    """Prints results and counts them.

    Args:
        as_json: whether to print JSON lines instead of text.
        table: returns the lines of text for one result.
        fail_on_flagged: whether a flagged filing changes the exit code.
        sheet: a file for the results instead of text; `write_sheet` writes it.
    """

    def __init__(
        self,
        *,
        as_json: bool,
        table: Callable[[Mapping[str, Any]], Iterable[str]],
        fail_on_flagged: bool = False,
        sheet: Sheet | None = None,
    ) -> None:
        self.as_json = as_json
        self.table = table
        self.fail_on_flagged = fail_on_flagged
        self.sheet = sheet
        self._results: list[Mapping[str, Any]] = []
        self.worked = 0
        self.failed = 0
        self.flagged = False

    def result(self, line: Mapping[str, Any]) -> None:
        """Print a result; it counts as failed if it has `error`."""
        if "error" in line:
            self.failed += 1
        else:
            self.worked += 1
        self.flagged = self.flagged or is_flagged(line)
        if not self.as_json and "error" in line and not line.get("narrative_flags"):
            text = f"{plain(line['source'])}: {plain(line['error']['detail'])}"
            if "moved_to" in line:
                end = "" if text.endswith((".", "?")) else "."
                text += f"{end} Moved to {plain(line['moved_to'])}"
            print_failure(text)
        elif self.sheet:
            self._results.append(line)
            for warning in warnings(line):
                print_hint(warning)
        else:
            print_line(line, self.table(line), as_json=self.as_json)

    def write_sheet(self) -> None:
        """Write the file for the results, if there is one."""
        if self.sheet:
            self.sheet.write(self._results)

    @property
    def exit_code(self) -> int:
        """0 all worked, 1 some failed, 2 none worked, 3 all worked and some are flagged."""
        if not self.failed:
            return FLAGGED if self.fail_on_flagged and self.flagged else ALL
        return SOME_FAILED if self.worked else NONE_WORKED


def warnings(line: Mapping[str, Any]) -> list[str]:
    """The first warnings of a file, and the warnings and errors of its parts, with their names."""
    notes = [line["error"]["detail"]] if "error" in line else [*line.get("warnings", ())]
    for filing in line.get("filings", ()):
        notes += filing.get("warnings", ())
    rows = [f"! {plain(line['source'])}: {plain(note)}" for note in notes[:MOST_WARNINGS]]
    return rows + [row for part in line.get("parts", ()) for row in warnings(part)]


def is_flagged(line: Mapping[str, Any]) -> bool:
    """Whether a filing of a line is flagged, also in the parts of a mail or archive."""
    inner = (*line.get("parts", ()), *line.get("filings", ()))
    return bool(line.get("flagged")) or any(map(is_flagged, inner))
