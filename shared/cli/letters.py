"""Dead letters as an operator sees them: listed, shown whole, replayed or dropped.

They are events that a service has given up. Their documents have ended as failed already, so a
letter that is dropped changes nothing; one that is replayed goes once more to the service that gave
it up, and a success supersedes the failure. Whatever is done with one is noted in a file of the
data folder before it is done: who, when, which, and why.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from shared.bus import Bus, DeadLetter
from shared.cli.lines import plain
from shared.errors import InvalidRequest, NotFound, SuiteError
from shared.events import Envelope, UnknownEvent, read_envelope

JOURNAL = "dead-letters.jsonl"
"""The file in the data folder that says what was done with dead letters, a line each."""
SHORTEST = 6
"""Characters of an id that are enough, if no other one begins with them."""

Done = Literal["replayed", "dropped"]


def listed(
    bus: Bus, service: str | None = None, document: str | None = None
) -> list[dict[str, Any]]:
    """What was given up and neither replayed nor dropped, the oldest first, a line each."""
    lines = [line_of(letter) for letter in bus.dead_letters(service)]
    return [line for line in lines if document in (None, line["document"])]


def line_of(letter: DeadLetter) -> dict[str, Any]:
    """`id`, `service`, `type`, `event`, `tenant`, `document`, `time`, `attempts` and `error`.

    What is no event of ours has no `type` and no `event`; its key says whose it is.
    """
    envelope = _envelope(letter)
    tenant, _, document = letter.message.key.partition("/")
    return {
        "id": letter.id,
        "service": letter.group,
        "type": envelope.type if envelope else None,
        "event": envelope.id if envelope else None,
        "tenant": tenant,
        "document": document,
        "time": letter.time.isoformat(timespec="seconds"),
        "attempts": letter.attempts,
        "error": letter.error.partition("\n\n")[0],
    }


def whole(letter: DeadLetter) -> dict[str, Any]:
    """The same with `trace`, where the error came from, and `message`, as it lies on the bus."""
    trace = letter.error.partition("\n\n")[2]
    try:
        value: Any = json.loads(letter.message.value)
    except ValueError:
        value = letter.message.value.decode("utf-8", "replace")
    message = {"key": letter.message.key, "headers": dict(letter.message.headers), "value": value}
    return {**line_of(letter), "trace": trace.splitlines(), "message": message}


def find(bus: Bus, given: str) -> DeadLetter:
    """The dead letter of an id, or of its beginning. Raises NotFound, or InvalidRequest if several
    begin so.
    """
    found = [
        letter
        for letter in bus.dead_letters()
        if letter.id == given or (len(given) >= SHORTEST and letter.id.startswith(given))
    ]
    if not found:
        raise NotFound(f"there is no dead letter {given}: smallprint dlq ls lists them")
    if len(found) > 1:
        raise InvalidRequest(f"{len(found)} dead letters begin with {given}: give more of the id")
    return found[0]


class Desk:
    """Where letters are replayed and dropped, and that is noted.

    Args:
        bus: where they lie.
        folder: the data folder.
        actor: who does it.
    """

    def __init__(self, bus: Bus, folder: Path, actor: str) -> None:
        self.bus = bus
        self.path = folder / JOURNAL
        self.actor = actor

    def replay(self, letter: DeadLetter, reason: str | None = None) -> dict[str, Any]:
        """Give it once more to the service that gave it up. Raises NotFound if it is gone, and
        SuiteError if it can't be noted.
        """
        line = self._note(letter, "replayed", reason)
        self.bus.replay(letter.id)
        return line

    def drop(self, letter: DeadLetter, reason: str) -> dict[str, Any]:
        """Forget it. Raises NotFound if it is gone, and SuiteError if it can't be noted."""
        line = self._note(letter, "dropped", reason)
        self.bus.drop(letter.id)
        return line

    def _note(self, letter: DeadLetter, done: Done, reason: str | None) -> dict[str, Any]:
        """Note it durably, before it is done: what is done is never without its note. Raises
        SuiteError where it can't be noted.
        """
        line = {
            "done": done,
            "by": self.actor,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
            **line_of(letter),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append(self.path, json.dumps(line, ensure_ascii=True).encode() + b"\n")
        except OSError as error:
            raise SuiteError(
                f"{self.path} can't be written ({error.strerror or error}), and a letter is not "
                f"{done} without a note of it: mend that, then say it again"
            ) from None
        return line


def _append(path: Path, line: bytes) -> None:
    """Add a line durably, or nothing of it. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = os.fstat(handle).st_size
        try:
            left = memoryview(line)
            while left:  # a disk that becomes full takes the beginning of it
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        except OSError:
            with suppress(OSError):  # what the write ended with is what people are to read
                os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)


def table(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A letter each: when, how often tried, service, type, document, and the error below."""
    for line in lines:
        what = line["type"] or "no event"
        tries = f"{line['attempts']} {'try' if line['attempts'] == 1 else 'tries'}"
        where = f"{plain(line['tenant'])}/{plain(line['document'])}"
        yield f"{line['id']}  {line['time']}  {line['service']}  {plain(what)}  {where}  ({tries})"
        yield f"  {plain(line['error'])}"


def shown(line: Mapping[str, Any]) -> Iterator[str]:
    """One letter whole: its line, where the error came from, and its message."""
    yield from table([line])
    if line["trace"]:
        yield ""
        yield from (f"  {_printable(row)}" for row in line["trace"])
    yield ""
    for row in json.dumps(line["message"], indent=2, ensure_ascii=False).splitlines():
        yield _printable(row)


def _printable(row: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in row)


def _envelope(letter: DeadLetter) -> Envelope | None:
    try:
        return read_envelope(letter.message.value)
    except UnknownEvent:
        return None
