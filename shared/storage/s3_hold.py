"""How a backup keeps the bytes of a bucket's blobs while others delete them.

A bucket has no locks. So a backup writes a mark, and again before it grows old; whoever deletes a
blob looks for it first, and while it is fresh copies the bytes to the same name with `.held` behind
it. At the end the mark goes first, and then what was put aside; who has copied looks once more, and
takes his own copy away where the mark is gone. For as long as that takes there is another mark, so
that nobody begins whose bytes would go with the rest. A thread writes the marks, however long one
request hangs. A mark of either kind that is not written again is nobody's: the next backup, or the
next start of ingest, removes it with what was put aside; who had it sees that, and removes no more.

**Why a look is enough.** S3 shows what was written to whoever reads after it. A service removes
blobs in a transaction in which it has written to the rows that named them, and the moment of a
backup waits for such transactions. So what is removed without the mark being seen, no row of that
moment names.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Any, Protocol

from shared.errors import Conflict, SuiteError, Unavailable
from shared.storage.blobs import HELD, HOLDING, ref_of_key

log = logging.getLogger(__name__)

FRESH_SECONDS = 90.0
"""For which a mark counts, by the server's clock: so long a backup that was killed keeps the next
one waiting, and so long a bucket may be out of reach before one that is at work fails."""
AGAIN_SECONDS = 15.0
"""Until it is written again."""
REMOVING = 0.5
"""Of FRESH_SECONDS: who could not write his mark again for so long removes nothing further, neither
a mark nor what was put aside. A request is sent once and given up within the rest of it, so that it
takes nothing of the next one's; but for one that the network or the server carries out later."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds after which such a request is sent again where it failed, if that may still be."""
ENDING = ".smallprint-ending"
"""The mark that is there while what was put aside is taken away."""
MARK = "the mark of a backup"


class Lacking(Exception):
    """An object is missing or damaged."""


class Bucket(Protocol):
    """What is asked of a bucket. All raise Unavailable while it does not answer."""

    prefix: str

    def objects(self) -> Iterator[dict[str, Any]]:
        """Everything below the prefix: `Key`, `Size` and `LastModified`."""

    def read(self, key: str, what: str) -> tuple[bytes, float] | None:
        """A small object, and how many seconds ago it was written by the server's own clock.

        `what` is what can't be reached without it, for the message.
        """

    def write(self, key: str, data: bytes) -> None:
        """Write a small object over what is there. Sent once: what hangs is given up well within
        FRESH_SECONDS * (1 - REMOVING).
        """

    def remove(self, key: str) -> None:
        """Remove an object, if it is there. Sent once, as `write` is."""


def is_held(bucket: Bucket, what: str = MARK) -> bool:
    """Whether a backup holds what is in it; `what` is asked for, for the message."""
    found = bucket.read(bucket.prefix + HOLDING, what)
    return found is not None and found[1] < FRESH_SECONDS


def let_go(bucket: Bucket) -> None:
    """Take away what a backup left that died. A bucket that does not answer is told of in the log
    alone: the next start looks again.
    """
    try:
        _end_of_the_dead(bucket)
    except SuiteError as error:
        log.warning("what a backup may have put aside stays", extra={"reason": error.message})


def _end_of_the_dead(bucket: Bucket) -> None:
    """Where there is a mark that is old, and none that is not, end as its backup would have."""
    ages = [_age(bucket, name) for name in (HOLDING, ENDING)]
    known = [age for age in ages if age is not None]
    if known and min(known) >= FRESH_SECONDS:
        _end(bucket, lambda: not is_held(bucket))


def _is_ending(bucket: Bucket) -> bool:
    age = _age(bucket, ENDING)
    return age is not None and age < FRESH_SECONDS


def _tried(request: Callable[[], None], may: Callable[[], bool]) -> bool:
    """Make a request, again where it failed, each time only if it may be made.

    Returns:
        Whether it was made. Raises Unavailable if it always failed.
    """
    for pause in PAUSES:
        if not may():
            return False
        with contextlib.suppress(Unavailable):
            request()
            return True
        time.sleep(pause)
    if not may():
        return False
    request()
    return True


def _age(bucket: Bucket, name: str) -> float | None:
    found = bucket.read(bucket.prefix + name, MARK)
    return None if found is None else found[1]


class _Mark:
    """A mark of one's own, which a thread writes again before it grows old."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._key = bucket.prefix + name
        self._words = _words()
        self._written = 0.0
        self._over = threading.Event()
        self._lost = False
        self._writer = threading.Thread(target=self._keep, name="hold", daemon=True)

    def write(self) -> None:
        """Write it once."""
        begun = time.monotonic()
        self._bucket.write(self._key, self._words)
        self._written = begun

    def begin(self) -> None:
        """Let the thread write it from now on."""
        self._writer.start()

    def stop(self) -> None:
        """Have it written no more."""
        self._over.set()
        if self._writer.ident is not None:
            self._writer.join()

    def is_ours(self, share: float = 1.0) -> bool:
        """Whether it is there and counts, and always did; also by the server's clock: ours stands
        still while this machine sleeps.

        Args:
            share: of the time for which it counts, in which it must have been written again.
        """
        if self._lost:
            return False
        found = self._bucket.read(self._key, MARK)
        if found is None or found[0] != self._words:
            return False
        return max(time.monotonic() - self._written, found[1]) < FRESH_SECONDS * share

    def is_surely_ours(self) -> bool:
        """Whether it will still count when a request that begins now is given up."""
        return self.is_ours(REMOVING)

    def is_free(self) -> bool:
        """Whether nobody else has it."""
        found = self._bucket.read(self._key, MARK)
        return found is None or found[0] == self._words or found[1] >= FRESH_SECONDS

    def remove(self) -> None:
        """Take it away, if it is ours."""
        _tried(partial(self._bucket.remove, self._key), self.is_surely_ours)

    def _keep(self) -> None:
        while not self._over.wait(AGAIN_SECONDS):
            try:
                if not self.is_ours():
                    self._lost = True
                    return
                before = self._written
                self.write()
                if time.monotonic() - before >= FRESH_SECONDS:  # it hung: others saw an old one
                    self._lost = True
                    return
            except SuiteError as reason:
                log.warning("the mark of the backup was not written", extra={"why": str(reason)})


def _end(bucket: Bucket, may: Callable[[], bool]) -> bool:
    """Take away the mark of a backup and what was put aside.

    Args:
        may: whether nobody else has begun; asked once the mark is there that keeps others out.

    Returns:
        Whether it might.
    """
    ending = _Mark(bucket, ENDING)
    _tried(ending.write, lambda: True)
    ending.begin()
    try:
        allowed = may()
        over = not allowed or _take_away(bucket, ending)
    finally:
        ending.stop()
    if over:
        ending.remove()
    return allowed


def _take_away(bucket: Bucket, ending: _Mark) -> bool:
    """Remove the mark of a backup and what was put aside, for as long as nobody else can have
    begun. Returns whether all of it is gone.
    """
    for key in chain([bucket.prefix + HOLDING], _put_aside(bucket)):
        if not _tried(partial(bucket.remove, key), ending.is_surely_ours):
            # The rest may be somebody else's by then.
            log.warning("what a backup put aside is left to the next one: the bucket was away")
            return False
    return True


def _put_aside(bucket: Bucket) -> Iterator[str]:
    """The keys of all that was."""
    for item in bucket.objects():
        key = item["Key"].removeprefix(bucket.prefix)
        if key.endswith(HELD) and ref_of_key(key.removesuffix(HELD), 0):
            yield item["Key"]


class Hold:
    """A mark of one's own for the time of a block.

    Raises Conflict where somebody else has one, and Unavailable at the end of the block where the
    mark was lost meanwhile: what was copied may lack something.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._mark = _Mark(bucket, HOLDING)

    def __enter__(self) -> None:
        if is_held(self._bucket) or _is_ending(self._bucket):
            raise _taken(self._bucket)
        _end_of_the_dead(self._bucket)
        if not _tried(self._mark.write, self._mark.is_free):
            raise _taken(self._bucket)
        if _is_ending(self._bucket):  # since the look: it would take away what is put aside for us
            self._mark.remove()
            raise _taken(self._bucket)
        self._mark.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            whole = self._mark.is_ours() and _end(self._bucket, self._is_still_ours)
        finally:
            self._mark.stop()
        if not whole and error is None:
            raise Unavailable(
                "the bucket did not answer for so long, or somebody removed its mark, that blobs"
                " may have been deleted while they were copied: begin the backup again"
            )

    def _is_still_ours(self) -> bool:
        self._mark.stop()
        return self._mark.is_ours()


def _words() -> bytes:
    """What no other mark is, and who writes it."""
    told = {
        "mark": secrets.token_hex(16),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(told).encode()


def _holder(bucket: Bucket) -> str:
    """Who holds the bucket, in words."""
    for name in (HOLDING, ENDING):
        found = bucket.read(bucket.prefix + name, MARK)
        if found is None or found[1] >= FRESH_SECONDS:
            continue
        seen = f"last heard of {found[1]:.0f} seconds ago"
        try:
            told = json.loads(found[0])
            return (
                f"process {int(told['process'])} on {str(told['host'])[:253]}, at work since"
                f" {str(told['since'])[:40]}, {seen}"
            )
        except (ValueError, TypeError, LookupError):
            return f"one that does not say who it is, {seen}"
    return "one that has just ended"


def _taken(bucket: Bucket) -> Conflict:
    return Conflict(
        f"another backup holds this bucket ({_holder(bucket)}): begin again once it has ended; if"
        f" it was killed, {FRESH_SECONDS:.0f} seconds after it was last heard of"
    )
