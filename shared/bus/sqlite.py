"""The bus of the embedded edition: one SQLite file, any number of threads and processes.

The file is in WAL mode. Publishing uses synchronous=FULL: published messages survive a power cut.
Only one connection writes at a time, so numbers grow in the order of their commits.

Old messages are removed once every group has read them; without a group, none is.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.bus import Message, Positions, Record, refuse_large
from shared.errors import SettingsError, Unavailable
from shared.storage.engine import use_wal
from shared.storage.signal import Signal

_SCHEMA = Path(__file__).with_suffix(".sql")
_VERSION = 3
_READ_AT_ONCE = 100
_POLL_SECONDS = 0.05
_CALM_POLL_SECONDS = 0.25
"""Seconds between two polls of an idle reader. Messages of this process wake it at once; only those
of another process wait."""
_CALM_AFTER = 0.2
_BUSY_SECONDS = 30.0
_PRUNE_BATCH = 500
"""Messages removed in one transaction, so that nobody waits long for the file."""
_PRUNE_EVERY = 3600.0
"""Seconds between two searches for old messages."""


_SIGNALS: weakref.WeakValueDictionary[Path, Signal] = weakref.WeakValueDictionary()
_SIGNALS_GUARD = threading.Lock()


def _signal_of(path: Path) -> Signal:
    """Return the signal of a file, which all buses on it share."""
    with _SIGNALS_GUARD:
        signal = _SIGNALS.get(path.absolute()) or Signal()
        _SIGNALS[path.absolute()] = signal
        return signal


class SqliteBus:
    """A bus on the file at `path`, created if it is missing.

    `days`: age of messages that are removed once all groups have read them.
    """

    def __init__(self, path: str | Path, *, days: float = 7.0) -> None:
        self.path = Path(path)
        self.days = days
        self.published = _signal_of(self.path)
        self._prune_at = 0.0
        self._guard = threading.Lock()
        self._connection = self._create()
        with self._transaction("BEGIN"):
            self.log = str(self._one("SELECT name FROM log"))

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        now = time.time()
        rows = [(one.key, one.value, json.dumps(dict(one.headers)), now) for one in messages]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO message (key, value, headers, time) VALUES (?, ?, ?, ?)", rows
            )
            if time.monotonic() >= self._prune_at:
                self._prune(connection, now)
        self.published.notify()

    def reader(self, group: str, positions: Callable[[], Positions] = dict) -> SqliteReader:
        position = positions().get(self.log, 0)
        reader = SqliteReader(self, group, position)
        reader.commit({self.log: position})
        return reader

    def commit(self, group: str, position: int) -> None:
        """Store how far a group has read."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO consumer_group VALUES (?1, ?2) ON CONFLICT (name)"
                " DO UPDATE SET next = ?2 WHERE ?2 > next",
                (group, position),
            )

    def read(self, position: int) -> list[Record]:
        """Return the next messages from a position on."""
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT number, key, value, headers FROM message WHERE number >= ?"
                " ORDER BY number LIMIT ?",
                (position, _READ_AT_ONCE),
            ).fetchall()
        return [
            Record(Message(key, value, json.loads(headers)), self.log, number)
            for number, key, value, headers in rows
        ]

    def lag(self, positions: Positions) -> int:
        with self._transaction("BEGIN"):
            query = "SELECT count(*) FROM message WHERE number >= ?"
            return int(self._one(query, positions.get(self.log, 0)))

    def keys(self, positions: Positions) -> frozenset[str]:
        with self._transaction("BEGIN") as connection:
            query = "SELECT DISTINCT key FROM message WHERE number >= ?"
            rows = connection.execute(query, (positions.get(self.log, 0),))
            return frozenset(key for (key,) in rows)

    def close(self) -> None:
        with self._guard:
            self._connection.close()

    def _one(self, query: str, *values: object) -> Any:
        return self._connection.execute(query, values).fetchone()[0]

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        """Remove a batch of old messages that every group has read."""
        old = """
            DELETE FROM message WHERE number IN (
                SELECT number FROM message
                WHERE time < ? AND number < (SELECT min(next) FROM consumer_group)
                ORDER BY number LIMIT ?)"""
        removed = connection.execute(old, (now - self.days * 86_400, _PRUNE_BATCH)).rowcount
        if removed < _PRUNE_BATCH:
            self._prune_at = time.monotonic() + _PRUNE_EVERY

    def _create(self) -> sqlite3.Connection:
        with _unavailable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            use_wal(connection, _BUSY_SECONDS)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # deleted messages are overwritten
            with _transaction(connection, "BEGIN IMMEDIATE"):
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _statements(_SCHEMA.read_text()):
                        connection.execute(statement)
                    connection.execute("INSERT INTO log VALUES (?)", (uuid.uuid4().hex,))
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
                    version = _VERSION
        if version != _VERSION:
            connection.close()
            raise SettingsError(
                f"The bus file {self.path} was written by another release (layout {version}, "
                f"this one knows {_VERSION}): use that release, or another file."
            )
        return connection

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._guard, _unavailable(self.path), _transaction(self._connection, begin):
            yield self._connection


class SqliteReader:
    """Reads the file from a position on."""

    def __init__(self, bus: SqliteBus, group: str, position: int) -> None:
        self._bus = bus
        self._group = group
        self._position = position
        self._closed = False
        self._last = float("-inf")
        """Monotonic time of the last message."""

    def read(self, timeout: float) -> list[Record]:
        end = time.monotonic() + timeout
        while True:
            if self._closed:
                raise Unavailable("This reader has been closed.")
            seen = self._bus.published.seen()
            if records := self._bus.read(self._position):
                self._last = time.monotonic()
                self._position = records[-1].offset + 1
                return records
            now = time.monotonic()
            if now >= end:
                return []
            calm = now - self._last > _CALM_AFTER
            pause = _CALM_POLL_SECONDS if calm else _POLL_SECONDS
            self._bus.published.wait(seen, min(end - now, pause))

    def commit(self, positions: Positions) -> None:
        if (position := positions.get(self._bus.log)) is not None:
            self._bus.commit(self._group, position)

    def close(self) -> None:
        self._closed = True
        self._bus.published.notify()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"The bus file {path} does not answer: {error}.") from error


def _statements(script: str) -> list[str]:
    """Split a script into statements; unlike `executescript`, they can run in a transaction."""
    lines = [line.split("--")[0] for line in script.splitlines()]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
