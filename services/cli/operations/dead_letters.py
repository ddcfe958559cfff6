"""List, show, replay and drop dead letters.

A dead letter is an event that a service has given up; its document has ended as failed. Dropping it
changes nothing. A replay gives it to that service again, and a success supersedes the failure. Each
action is logged in the data folder before it is done: who, when, which, and why.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from services.cli.output.event_names import event_name
from services.cli.output.lines import plain
from shared.errors import InvalidRequest, NotFound, SuiteError
from shared.events import Envelope, UnknownEvent, read_envelope
from shared.messaging import DeadLetter, Inbox
from shared.storage import Store

LOG_FILE = "dead-letters.jsonl"
"""File in the data folder that logs actions on dead letters, one per line."""
SHORTEST_ID = 6  # characters of an id that are enough if they are unique

Done = Literal["replayed", "dropped"]


def listed(
    stores: Mapping[str, Store], service: str | None = None, document: str | None = None
) -> list[dict[str, Any]]:
    """Dead letters that were neither replayed nor dropped, the oldest first."""
    lines = [line_of(one) for one in all_of(stores) if service in (None, one.service)]
    return [line for line in lines if document in (None, line["document"])]


def all_of(stores: Mapping[str, Store]) -> list[DeadLetter]:
    """The dead letters of all services, the oldest first."""
    found = [one for store in stores.values() for one in Inbox(store).dead_letters()]
    return sorted(found, key=lambda one: one.time)


def line_of(dead_letter: DeadLetter) -> dict[str, Any]:
    """The fields of a dead letter, as `smallprint dead-letters list` prints them.

    A message that is not an event of smallprint has no `type` and no `event`. Its key has the
    tenant and the document.
    """
    envelope = _envelope(dead_letter)
    tenant, _, document = dead_letter.key.partition("/")
    return {
        "id": dead_letter.id,
        "service": dead_letter.service,
        "type": envelope.type if envelope else None,
        "event": envelope.id if envelope else None,
        "tenant": tenant,
        "document": document,
        "time": dead_letter.time.isoformat(timespec="seconds"),
        "attempts": dead_letter.attempts,
        "error": dead_letter.error.partition("\n\n")[0],
    }


def details(dead_letter: DeadLetter) -> dict[str, Any]:
    """The fields of `line_of`, `trace` (origin of the error) and `message` (the raw event)."""
    trace = dead_letter.error.partition("\n\n")[2]
    try:
        value: Any = json.loads(dead_letter.value)
    except ValueError:
        value = dead_letter.value.decode("utf-8", "replace")
    message = {"key": dead_letter.key, "value": value}
    return {**line_of(dead_letter), "trace": trace.splitlines(), "message": message}


def find(stores: Mapping[str, Store], given: str) -> DeadLetter:
    """The dead letter with an id, or with a unique beginning of one. Raises NotFound or
    InvalidRequest.
    """
    matches = [
        dead_letter
        for dead_letter in all_of(stores)
        if dead_letter.id == given
        or (len(given) >= SHORTEST_ID and dead_letter.id.startswith(given))
    ]
    if not matches:
        raise NotFound(
            f"there is no dead letter {given}: `smallprint dead-letters list` lists them"
        )
    if len(matches) > 1:
        raise InvalidRequest(f"{len(matches)} dead letters begin with {given}: give more of the id")
    return matches[0]


class DeadLetterCommands:
    """Replays and drops dead letters, and logs it.

    Args:
        stores: the databases by service.
        folder: the data folder.
        actor: who does it.
    """

    def __init__(self, stores: Mapping[str, Store], folder: Path, actor: str) -> None:
        self.stores = stores
        self.path = folder / LOG_FILE
        self.actor = actor

    def replay(self, dead_letter: DeadLetter, reason: str | None = None) -> dict[str, Any]:
        """Give it to its service again. Raises NotFound if it is gone, SuiteError if it can't be
        logged.
        """
        line = self._note(dead_letter, "replayed", reason)
        Inbox(self.stores[dead_letter.service]).replay(dead_letter)
        return line

    def drop(self, dead_letter: DeadLetter, reason: str) -> dict[str, Any]:
        """Drop it. Raises NotFound if it is gone, SuiteError if it can't be logged."""
        line = self._note(dead_letter, "dropped", reason)
        Inbox(self.stores[dead_letter.service]).drop(dead_letter)
        return line

    def _note(self, dead_letter: DeadLetter, done: Done, reason: str | None) -> dict[str, Any]:
        """Log an action durably before it is done. Raises SuiteError."""
        line = {
            "done": done,
            "by": self.actor,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
            **line_of(dead_letter),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append(self.path, json.dumps(line, ensure_ascii=True).encode() + b"\n")
        except OSError as error:
            raise SuiteError(
                f"{self.path} can't be written ({error.strerror or error}), and nothing is {done} "
                "without a log entry: fix that, then run the command again"
            ) from None
        return line


def _append(path: Path, line: bytes) -> None:
    """Append a whole line durably, or nothing. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = os.fstat(handle).st_size
        try:
            remaining = memoryview(line)
            while remaining:  # a disk that becomes full writes only part of the line
                remaining = remaining[os.write(handle, remaining) :]
            os.fsync(handle)
        except OSError:
            with suppress(OSError):  # report the error of the write
                os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)


def table(line: Mapping[str, Any]) -> Iterator[str]:
    """A dead letter on two lines: time, attempts, service, type and document, then the error."""
    tries = f"{line['attempts']} {'try' if line['attempts'] == 1 else 'tries'}"
    where = f"{plain(line['tenant'])}/{plain(line['document'])}"
    what = f"{line['service']}  {event_name(line['type'])}"
    yield f"{line['id']}  {line['time']}  {what}  {where}  ({tries})"
    yield f"  {plain(line['error'])}"


def shown(line: Mapping[str, Any]) -> Iterator[str]:
    """All details of a dead letter."""
    yield from table(line)
    if line["trace"]:
        yield ""
        yield from (f"  {_printable(row)}" for row in line["trace"])
    yield ""
    for row in json.dumps(line["message"], indent=2, ensure_ascii=False).splitlines():
        yield _printable(row)


def _printable(row: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in row)


def _envelope(dead_letter: DeadLetter) -> Envelope | None:
    try:
        return read_envelope(dead_letter.value)
    except UnknownEvent:
        return None
