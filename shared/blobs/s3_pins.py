"""How a backup pins the blobs of a bucket while others delete them.

A bucket has no locks. So a backup writes a mark and renews it. A service that deletes a blob looks
for a fresh mark first, and copies the bytes to the same key with the suffix `.held`. At its end the
backup removes the mark, then the copies. A service that has copied looks again, and removes its
copy if the mark is gone. A second mark during the removal keeps other backups from starting. A
thread renews the marks. An old mark is abandoned: the next backup, or the next start of ingest,
removes it with its copies.

**Why looking is enough.** S3 reads are consistent with earlier writes. A service removes blobs in
the transaction that wrote the rows which named them, and a backup's snapshot waits for such
transactions. So no row of the snapshot names a blob that was removed without seeing the mark.
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

from shared.blobs.protocol import PIN_MARKER, PINNED_SUFFIX, ref_of_key
from shared.errors import Conflict, SuiteError, Unavailable

log = logging.getLogger(__name__)

FRESH_SECONDS = 90.0
"""Age up to which a mark is valid, by the server's clock. A killed backup blocks the next one this
long; a running one fails if the bucket is down this long."""
RENEW_SECONDS = 15.0
"""Seconds between renewals."""
REMOVING = 0.5
"""Share of FRESH_SECONDS after the last renewal in which a backup may still remove things. A
request is sent once and ends within the remaining time, so it can't hit the next backup's data.
"""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries of such a request."""
ENDING = ".smallprint-ending"
"""The mark during the removal of copies."""
MARK = "the mark of a backup"


class ObjectMissing(Exception):
    """An object is missing or damaged."""


class Bucket(Protocol):
    """The operations on a bucket. All raise Unavailable while it does not answer."""

    prefix: str

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield all objects below the prefix: `Key`, `Size` and `LastModified`."""

    def read(self, key: str, subject: str) -> tuple[bytes, float] | None:
        """Return a small object and its age in seconds by the server's clock.

        `subject` names it in error messages.
        """

    def write(self, key: str, data: bytes) -> None:
        """Overwrite a small object: sent once, and ended well within FRESH_SECONDS * (1 -
        REMOVING).
        """

    def remove(self, key: str) -> None:
        """Delete an object; sent once, as `write`."""


def is_pinned(bucket: Bucket, subject: str = MARK) -> bool:
    """Return whether a backup pins the bucket; `subject` is for error messages."""
    mark = bucket.read(bucket.prefix + PIN_MARKER, subject)
    return mark is not None and mark[1] < FRESH_SECONDS


def remove_dead_pin(bucket: Bucket) -> None:
    """Remove the pin of a dead backup. Errors are logged only: the next start tries again."""
    try:
        _end_dead_pin(bucket)
    except SuiteError as error:
        extra = {"reason": error.message}
        log.warning("copies of an interrupted backup can't be removed now", extra=extra)


def _end_dead_pin(bucket: Bucket) -> None:
    """Remove an old mark and its copies, unless there is a fresh mark."""
    ages = [_age(bucket, name) for name in (PIN_MARKER, ENDING)]
    present = [age for age in ages if age is not None]
    if present and min(present) >= FRESH_SECONDS:
        _end(bucket, lambda: not is_pinned(bucket))


def _is_ending(bucket: Bucket) -> bool:
    age = _age(bucket, ENDING)
    return age is not None and age < FRESH_SECONDS


def _retry(request: Callable[[], None], may: Callable[[], bool]) -> bool:
    """Make a request with retries, as long as `may` allows it. Returns whether it was made.

    Raises Unavailable if all tries failed.
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
    mark = bucket.read(bucket.prefix + name, MARK)
    return None if mark is None else mark[1]


class _Mark:
    """Our mark, renewed by a thread."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._key = bucket.prefix + name
        self._content = _content()
        self._written = 0.0
        self._over = threading.Event()
        self._lost = False
        self._writer = threading.Thread(target=self._renew, name="hold", daemon=True)

    def write(self) -> None:
        started_at = time.monotonic()
        self._bucket.write(self._key, self._content)
        self._written = started_at

    def begin(self) -> None:
        self._writer.start()

    def stop(self) -> None:
        self._over.set()
        if self._writer.ident is not None:
            self._writer.join()

    def is_ours(self, share: float = 1.0) -> bool:
        """Return whether the mark is there and has been valid all the time.

        It checks the server's clock too, because ours stops while the machine sleeps.

        Args:
            share: part of FRESH_SECONDS within which it must have been renewed.
        """
        if self._lost:
            return False
        mark = self._bucket.read(self._key, MARK)
        if mark is None or mark[0] != self._content:
            return False
        return max(time.monotonic() - self._written, mark[1]) < FRESH_SECONDS * share

    def is_surely_ours(self) -> bool:
        """Return whether it will still be valid when a request that starts now ends."""
        return self.is_ours(REMOVING)

    def is_free(self) -> bool:
        """Return whether no other backup has a fresh mark."""
        mark = self._bucket.read(self._key, MARK)
        return mark is None or mark[0] == self._content or mark[1] >= FRESH_SECONDS

    def remove(self) -> None:
        """Remove the mark, if it is ours."""
        _retry(partial(self._bucket.remove, self._key), self.is_surely_ours)

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                if not self.is_ours():
                    self._lost = True
                    return
                before = self._written
                self.write()
                if time.monotonic() - before >= FRESH_SECONDS:  # it hung, so others saw an old mark
                    self._lost = True
                    return
            except SuiteError as reason:
                log.warning(
                    "the pin of the backup can't be written now", extra={"why": str(reason)}
                )


def _end(bucket: Bucket, may: Callable[[], bool]) -> bool:
    """Remove the mark of a backup and its copies. Returns whether `may` allowed it.

    Args:
        may: whether no other backup has started; called once the second mark is there.
    """
    ending = _Mark(bucket, ENDING)
    _retry(ending.write, lambda: True)
    ending.begin()
    try:
        allowed = may()
        over = not allowed or _remove_pin(bucket, ending)
    finally:
        ending.stop()
    if over:
        ending.remove()
    return allowed


def _remove_pin(bucket: Bucket, ending: _Mark) -> bool:
    """Remove mark and copies as long as no other backup can have started.

    Returns whether all are gone.
    """
    for key in chain([bucket.prefix + PIN_MARKER], _copy_pinned(bucket)):
        if not _retry(partial(bucket.remove, key), ending.is_surely_ours):
            # The remaining copies may belong to another backup by then.
            log.warning("the bucket was down: the next backup removes the copies of this one")
            return False
    return True


def _copy_pinned(bucket: Bucket) -> Iterator[str]:
    for item in bucket.objects():
        key = item["Key"].removeprefix(bucket.prefix)
        if key.endswith(PINNED_SUFFIX) and ref_of_key(key.removesuffix(PINNED_SUFFIX), 0):
            yield item["Key"]


class BlobPin:
    """A pin for the duration of a block.

    Raises Conflict if another backup has one. Raises Unavailable at the end if the mark was lost,
    because copied blobs may be missing.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._mark = _Mark(bucket, PIN_MARKER)

    def __enter__(self) -> None:
        if is_pinned(self._bucket) or _is_ending(self._bucket):
            raise _conflict(self._bucket)
        _end_dead_pin(self._bucket)
        if not _retry(self._mark.write, self._mark.is_free):
            raise _conflict(self._bucket)
        if _is_ending(self._bucket):  # just started: it would remove our copies
            self._mark.remove()
            raise _conflict(self._bucket)
        self._mark.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            complete = self._mark.is_ours() and _end(self._bucket, self._is_still_ours)
        finally:
            self._mark.stop()
        if not complete and error is None:
            raise Unavailable(
                "The bucket was down too long, or the pin was removed, so copied "
                "blobs may be missing. Repeat the backup."
            )

    def _is_still_ours(self) -> bool:
        self._mark.stop()
        return self._mark.is_ours()


def _content() -> bytes:
    """Return a unique mark with its owner."""
    owner = {
        "mark": secrets.token_hex(16),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(owner).encode()


def _describe_owner(bucket: Bucket) -> str:
    """Describe the owner of the mark."""
    for name in (PIN_MARKER, ENDING):
        mark = bucket.read(bucket.prefix + name, MARK)
        if mark is None or mark[1] >= FRESH_SECONDS:
            continue
        seen = f"last seen {mark[1]:.0f} seconds ago"
        try:
            owner = json.loads(mark[0])
            return (
                f"process {int(owner['process'])} on {str(owner['host'])[:253]}, running"
                f" since {str(owner['since'])[:40]}, {seen}"
            )
        except (ValueError, TypeError, LookupError):
            return f"an unknown process, {seen}"
    return "a process that has just ended"


def _conflict(bucket: Bucket) -> Conflict:
    return Conflict(
        f"Another backup is using this bucket ({_describe_owner(bucket)}). Retry when it has "
        f"ended, or {FRESH_SECONDS:.0f} seconds after it was last seen."
    )
