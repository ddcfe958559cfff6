"""The bus of the embedded edition: one SQLite file, any number of threads and processes.

Each group has a row per message that it has yet to acknowledge (`pending`) and a row per key that
has any (`lane`), so receiving is a step in an index, however much waits. Tenants take turns
(`turn`): next is a lane of the one that was served longest ago. A delivery is a lease: a thread
renews it while the consumer's own thread lives, so long work is never delivered twice; after a
crash it runs out, or is taken at once if the process is seen to be gone on this machine.

The file is in WAL mode. Publishing, replaying and dropping use synchronous=FULL: what was
published survives a power cut. Consumers use synchronous=NORMAL: a power cut may forget their
latest acknowledgements, which then repeat deliveries and lose none; kill -9 forgets nothing.

A message is removed some days after every group that there is has finished with it, unless a dead
letter refers to it; while there is no group, none is. So a group that is new starts at what
remains, as on a topic with a limited retention.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from shared.bus import DeadLetter, Delivery, Message, Pending, refuse_large
from shared.bus.turns import tenant_of
from shared.errors import NotFound, SettingsError, Unavailable

_SCHEMA = Path(__file__).with_suffix(".sql")
_VERSION = 2
_POLL_SECONDS = 0.05
_CALM_POLL_SECONDS = 0.25
"""The same for a consumer that found nothing for a while: what is published in this process wakes
it in any case, so that only another process, or a retry whose time has come, is heard so late."""
_CALM_AFTER = 0.2
_LOOK_FOR_DEAD_SECONDS = 1.0
_BUSY_SECONDS = 30.0
_PRUNE_BATCH = 500
"""Messages that are removed at once, so that nobody waits long for the file."""
_PRUNE_EVERY = 3600.0
"""Seconds between two looks for messages that are old enough to go."""


class _Told:
    """What all buses of this process on one file hear of at once: that something was published."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def tell(self) -> None:
        """Wake whoever waits."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> bool:
        """Whether anything was told since the count was `seen`, waited for at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, timeout)


_TOLD: weakref.WeakValueDictionary[Path, _Told] = weakref.WeakValueDictionary()
_TOLD_GUARD = threading.Lock()


def _told_of(path: Path) -> _Told:
    """The one of a file, for as long as a bus has it open."""
    with _TOLD_GUARD:
        told = _TOLD.get(path.absolute()) or _Told()
        _TOLD[path.absolute()] = told
        return told


class SqliteBus:
    """A bus on the file at `path`, which is made if it is missing.

    `lease` in seconds; `days` is how long a message is kept that all groups have finished with.
    """

    def __init__(self, path: str | Path, *, lease: float = 30.0, days: float = 7.0) -> None:
        self.path = Path(path)
        self.lease = lease
        self.days = days
        self._prune_at = 0.0
        self.told = _told_of(self.path)
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._consumers: weakref.WeakSet[SqliteConsumer] = weakref.WeakSet()
        self._heart: threading.Thread | None = None
        self._connection = self._create()

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        with self._transaction() as connection:
            groups = [name for (name,) in connection.execute("SELECT name FROM consumer_group")]
            for message in messages:
                number = _insert(connection, message)
                _add_pending(connection, groups, [(message.key, number)])
            if groups and time.monotonic() >= self._prune_at:
                self._prune(connection)
        self.told.tell()

    def consumer(self, group: str) -> SqliteConsumer:
        with self._transaction() as connection:
            known = "SELECT 1 FROM consumer_group WHERE name = ?"
            if connection.execute(known, (group,)).fetchone() is None:
                connection.execute("INSERT INTO consumer_group VALUES (?)", (group,))
                everything = connection.execute("SELECT key, number FROM message ORDER BY number")
                _add_pending(connection, [group], everything.fetchall())
            consumer = SqliteConsumer(self, group)
            self._consumers.add(consumer)
            self._start_heart()
        return consumer

    def dead_letters(self, group: str | None = None) -> list[DeadLetter]:
        query = """
            SELECT dead.id, dead.consumer_group, message.key, message.value, message.headers,
                   dead.error, dead.attempts, dead.time
            FROM dead JOIN message USING (number)
            WHERE ?1 IS NULL OR dead.consumer_group = ?1
            ORDER BY dead.time, dead.id"""
        with self._transaction("BEGIN") as connection:
            return [_dead_letter(row) for row in connection.execute(query, (group,))]

    def replay(self, dead_letter_id: str) -> None:
        with self._transaction() as connection:
            group, key, number = _take_dead(connection, dead_letter_id)
            connection.execute(
                "INSERT INTO pending VALUES (?, ?, ?, 0, ?, NULL)",
                (group, key, number, time.time()),
            )
            lane = "SELECT holder FROM lane WHERE consumer_group = ? AND key = ?"
            held = connection.execute(lane, (group, key)).fetchone()
            if held is None or held[0] is None:
                _set_lane(connection, group, key)
        self.told.tell()

    def drop(self, dead_letter_id: str) -> None:
        with self._transaction() as connection:
            _take_dead(connection, dead_letter_id)

    def lag(self, group: str) -> int:
        with self._transaction("BEGIN") as connection:
            return _lag(connection, group)

    def pending(self, groups: Collection[str]) -> Pending:
        query = """
            SELECT key FROM pending WHERE consumer_group = ?1
            UNION SELECT key FROM message
            WHERE NOT EXISTS (SELECT 1 FROM consumer_group WHERE name = ?1)"""
        with self._transaction("BEGIN") as connection:
            messages = {group: _lag(connection, group) for group in groups}
            keys = frozenset(
                key for group in groups for (key,) in connection.execute(query, (group,))
            )
        return Pending(messages, keys)

    def close(self) -> None:
        self._stop.set()
        for consumer in list(self._consumers):
            consumer.close()
        if self._heart and self._heart is not threading.current_thread():
            self._heart.join()
        with self._guard:
            self._connection.close()

    def connect(self, synchronous: str) -> sqlite3.Connection:
        """A new connection to the file; `synchronous` is FULL or NORMAL."""
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten
        return connection

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Now and then, remove some messages that nobody needs any more."""
        before = time.time() - self.days * 86_400
        removed = connection.execute(_REMOVE_OLD, (before, _PRUNE_BATCH)).rowcount
        if removed < _PRUNE_BATCH:
            self._prune_at = time.monotonic() + _PRUNE_EVERY

    def _create(self) -> sqlite3.Connection:
        with _unavailable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = self.connect("FULL")
            with _transaction(connection):
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _statements(_SCHEMA.read_text()):
                        connection.execute(statement)
                elif version == 1:
                    _add_turns(connection)
                if version < _VERSION:
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
        if version > _VERSION:
            connection.close()
            raise SettingsError(
                f"The bus file {self.path} was written by a newer release (layout {version}, "
                f"this one knows {_VERSION}): use that release, or another file."
            )
        return connection

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._guard, _unavailable(self.path), _transaction(self._connection, begin):
            yield self._connection

    def _start_heart(self) -> None:
        if self._heart is None:
            beat = threading.Thread(
                target=_beat, args=(weakref.ref(self), self._stop, self.lease / 3), daemon=True
            )
            beat.name = "sqlite-bus-leases"
            self._heart = beat
            beat.start()

    def renew(self, connection: sqlite3.Connection) -> None:
        """Extend the leases of all consumers whose threads live."""
        with self._guard:
            consumers = list(self._consumers)
        for consumer in consumers:
            if consumer.alive:
                connection.execute(
                    "UPDATE lane SET ready_at = ? WHERE holder = ?",
                    (time.time() + self.lease, consumer.name),
                )
        # A lease that ends later than any can was taken before the clock was set back: its holder
        # renews it, or is gone and has a lease's time from now.
        end = time.time() + self.lease
        later = "UPDATE lane SET ready_at = ?1 WHERE holder IS NOT NULL AND ready_at > ?1 + 1"
        connection.execute(later, (end,))


def forget_leases(path: Path) -> None:
    """Nobody holds a message in this file any more: it was copied from where they were held."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE lane SET holder = NULL, ready_at = ?1 WHERE holder IS NOT NULL", (time.time(),)
        )


class SqliteConsumer:
    """A member of a group with a connection of its own."""

    def __init__(self, bus: SqliteBus, group: str) -> None:
        self.group = group
        self.name = f"{_this_process()}|{uuid.uuid4().hex}"
        self._bus = bus
        self._connection = bus.connect("NORMAL")
        self._guard = threading.RLock()
        self._thread = threading.current_thread()
        self._closed = False
        self._looked = float("-inf")
        self._heard = float("-inf")
        """When something came last, or somebody in this process said that it did."""

    @property
    def alive(self) -> bool:
        return not self._closed and self._thread.is_alive()

    def receive(self, timeout: float) -> Delivery | None:
        self._thread = threading.current_thread()
        end = time.monotonic() + timeout
        while True:
            seen = self._bus.told.count
            if delivery := self._take_next():
                self._heard = time.monotonic()
                return delivery
            now = time.monotonic()
            if now >= end:
                return None
            calm = now - self._heard > _CALM_AFTER
            pause = _CALM_POLL_SECONDS if calm else _POLL_SECONDS
            if self._bus.told.wait(seen, min(end - now, pause)):
                self._heard = time.monotonic()

    def ack(self, delivery: Delivery) -> None:
        with self._finishing(delivery) as row:
            if row:
                self._connection.execute(
                    "DELETE FROM pending WHERE (consumer_group, key, number) = (?, ?, ?)", row
                )

    def retry(self, delivery: Delivery, delay: float, error: str) -> None:
        with self._finishing(delivery) as row:
            if row:
                self._connection.execute(
                    "UPDATE pending SET not_before = ?, error = ?"
                    " WHERE (consumer_group, key, number) = (?, ?, ?)",
                    (time.time() + delay, error, *row),
                )

    def later(self, delivery: Delivery, delay: float) -> None:
        with self._finishing(delivery) as row:
            if row:
                self._connection.execute(
                    "UPDATE pending SET not_before = ?, attempts = attempts - 1"
                    " WHERE (consumer_group, key, number) = (?, ?, ?)",
                    (time.time() + delay, *row),
                )

    def dead(self, delivery: Delivery, error: str) -> bool:
        with self._finishing(delivery) as row:
            if row:
                self._connection.execute(
                    "DELETE FROM pending WHERE (consumer_group, key, number) = (?, ?, ?)", row
                )
                self._connection.execute(
                    "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?)",
                    (uuid.uuid4().hex, self.group, row[2], error, delivery.attempt, time.time()),
                )
        return row is not None

    def keep(self, delivery: Delivery) -> None:
        until = time.time() + self._bus.lease
        with self._transaction() as connection:
            connection.execute(
                "UPDATE lane SET ready_at = ?"
                " WHERE holder = ? AND (consumer_group, key, number) = (?, ?, ?)",
                (until, self.name, *self._row(delivery)),
            )

    def close(self) -> None:
        with self._guard, suppress(sqlite3.Error):
            if not self._closed:
                self._closed = True
                with closing(self._connection), _transaction(self._connection):
                    _release(self._connection, self.name)
        self._bus.told.tell()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard, _unavailable(self._bus.path):
            if self._closed:
                raise Unavailable("This consumer has been closed.")
            with _transaction(self._connection):
                yield self._connection

    def _take_next(self) -> Delivery | None:
        with self._guard, _unavailable(self._bus.path):
            if self._closed:
                raise Unavailable("This consumer has been closed.")
            self._look_for_dead()
            now = time.time()
            if self._connection.execute(_ANY, (self.group, now)).fetchone() is None:
                return None
            with _transaction(self._connection):
                lane = self._connection.execute(_NEXT, (self.group, now)).fetchone()
                return self._hold(*lane) if lane else None

    def _hold(self, key: str, number: int) -> Delivery:
        row = (self.group, key, number)
        self._connection.execute(
            "UPDATE lane SET ready_at = ?, holder = ?"
            " WHERE (consumer_group, key, number) = (?, ?, ?)",
            (time.time() + self._bus.lease, self.name, *row),
        )
        self._connection.execute(_TAKE_TURN, (self.group, tenant_of(key)))
        self._connection.execute(
            "UPDATE pending SET attempts = attempts + 1"
            " WHERE (consumer_group, key, number) = (?, ?, ?)",
            row,
        )
        attempts, value, headers = self._connection.execute(
            "SELECT attempts, value, headers FROM pending JOIN message USING (number, key)"
            " WHERE (consumer_group, key, number) = (?, ?, ?)",
            row,
        ).fetchone()
        return Delivery(Message(key, value, json.loads(headers)), attempts, token=number)

    def _row(self, delivery: Delivery) -> tuple[str, str, int]:
        return self.group, delivery.message.key, delivery.token

    @contextmanager
    def _finishing(self, delivery: Delivery) -> Iterator[tuple[str, str, int] | None]:
        """Yield the row of a delivery, or None if it is ours no more; then free its lane."""
        row = self._row(delivery)
        if self._closed:
            yield None
            return
        with self._transaction() as connection:
            ours = connection.execute(
                "SELECT 1 FROM lane JOIN pending USING (consumer_group, key, number)"
                " WHERE holder = ? AND attempts = ? AND (consumer_group, key, number) = (?, ?, ?)",
                (self.name, delivery.attempt, *row),
            ).fetchone()
            yield row if ours else None
            if ours:
                _set_lane(connection, self.group, delivery.message.key)

    def _look_for_dead(self) -> None:
        """Release at once what is held by processes of this machine that are gone."""
        if time.monotonic() - self._looked < _LOOK_FOR_DEAD_SECONDS:
            return
        self._looked = time.monotonic()
        holders = "SELECT DISTINCT holder FROM lane WHERE consumer_group = ? AND holder NOT NULL"
        for (holder,) in self._connection.execute(holders, (self.group,)).fetchall():
            if _is_gone(holder):
                with _transaction(self._connection):
                    _release(self._connection, holder)


_REMOVE_OLD = """
    DELETE FROM message WHERE number IN (
        SELECT number FROM message
        WHERE time < ?
        AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.number = message.number
                        AND pending.key = message.key
                        AND pending.consumer_group IN (SELECT name FROM consumer_group))
        AND number NOT IN (SELECT number FROM dead)
        ORDER BY number LIMIT ?)"""

_ANY = "SELECT 1 FROM lane WHERE consumer_group = ? AND ready_at <= ? LIMIT 1"

_NEXT = """
    SELECT key, number FROM lane INDEXED BY lane_of_tenant
    WHERE consumer_group = ?1 AND ready_at <= ?2 AND tenant = (
        SELECT tenant FROM turn INDEXED BY turn_served
        WHERE consumer_group = ?1 AND EXISTS (
            SELECT 1 FROM lane INDEXED BY lane_of_tenant
            WHERE lane.consumer_group = ?1 AND lane.tenant = turn.tenant AND lane.ready_at <= ?2)
        ORDER BY served LIMIT 1)
    ORDER BY ready_at, number LIMIT 1"""

_TAKE_TURN = """
    UPDATE turn SET served = 1 + (SELECT max(served) FROM turn WHERE consumer_group = ?1)
    WHERE consumer_group = ?1 AND tenant = ?2"""

_ADD_TURN = "INSERT INTO turn VALUES (?, ?, 0) ON CONFLICT DO NOTHING"


def _lag(connection: sqlite3.Connection, group: str) -> int:
    query = """
        SELECT CASE WHEN EXISTS (SELECT 1 FROM consumer_group WHERE name = ?1)
               THEN (SELECT count(*) FROM pending WHERE consumer_group = ?1)
               ELSE (SELECT count(*) FROM message) END"""
    return int(connection.execute(query, (group,)).fetchone()[0])


def _insert(connection: sqlite3.Connection, message: Message) -> int:
    headers = json.dumps(dict(message.headers))
    cursor = connection.execute(
        "INSERT INTO message (key, value, headers, time) VALUES (?, ?, ?, ?)",
        (message.key, message.value, headers, time.time()),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _add_pending(
    connection: sqlite3.Connection, groups: Iterable[str], rows: Sequence[tuple[str, int]]
) -> None:
    """Give each group these (key, number), which are younger than what it has."""
    now = time.time()
    for group in groups:
        entries = [(group, key, number, now) for key, number in rows]
        connection.executemany("INSERT INTO pending VALUES (?, ?, ?, 0, ?, NULL)", entries)
        lanes = [(*entry, tenant_of(entry[1])) for entry in entries]
        connection.executemany(
            "INSERT INTO lane VALUES (?, ?, ?, ?, NULL, ?) ON CONFLICT DO NOTHING", lanes
        )
        tenants = {tenant_of(key) for key, _ in rows}
        connection.executemany(_ADD_TURN, [(group, tenant) for tenant in sorted(tenants)])


def _set_lane(connection: sqlite3.Connection, group: str, key: str) -> None:
    """Put the oldest pending message at the head of the lane, in nobody's hands."""
    connection.execute("DELETE FROM lane WHERE consumer_group = ? AND key = ?", (group, key))
    connection.execute(
        "INSERT INTO lane SELECT consumer_group, key, number, not_before, NULL, ? FROM pending"
        " WHERE consumer_group = ? AND key = ? ORDER BY number LIMIT 1",
        (tenant_of(key), group, key),
    )
    connection.execute(_ADD_TURN, (group, tenant_of(key)))


def _add_turns(connection: sqlite3.Connection) -> None:
    """Bring a file of the first layout, in which tenants took no turns, to this one."""
    connection.execute("ALTER TABLE lane ADD COLUMN tenant TEXT NOT NULL DEFAULT ''")
    for statement in _statements(_SCHEMA.read_text()):  # what is there stays
        connection.execute(statement)
    lanes = connection.execute("SELECT consumer_group, key FROM lane").fetchall()
    connection.executemany(
        "UPDATE lane SET tenant = ? WHERE consumer_group = ? AND key = ?",
        [(tenant_of(key), group, key) for group, key in lanes],
    )
    connection.executemany(_ADD_TURN, sorted({(group, tenant_of(key)) for group, key in lanes}))


def _release(connection: sqlite3.Connection, holder: str) -> None:
    """Free what somebody holds, behind what waits already: it may be what killed them."""
    connection.execute(
        "UPDATE lane SET holder = NULL, ready_at = ? WHERE holder = ?", (time.time(), holder)
    )


def _take_dead(connection: sqlite3.Connection, dead_letter_id: str) -> tuple[str, str, int]:
    """Remove a dead letter; the group, key and number of its message."""
    row = connection.execute(
        "SELECT consumer_group, key, number FROM dead JOIN message USING (number) WHERE id = ?",
        (dead_letter_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no dead letter {dead_letter_id}.")
    connection.execute("DELETE FROM dead WHERE id = ?", (dead_letter_id,))
    group, key, number = row
    return group, key, number


def _dead_letter(row: tuple[str, str, str, bytes, str, str, int, float]) -> DeadLetter:
    id_, group, key, value, headers, error, attempts, seconds = row
    message = Message(key, value, json.loads(headers))
    return DeadLetter(id_, group, message, error, attempts, datetime.fromtimestamp(seconds, UTC))


def _beat(bus: weakref.ref[SqliteBus], stop: threading.Event, interval: float) -> None:
    """Renew the leases of a bus until it is closed or forgotten."""
    connection: sqlite3.Connection | None = None
    while not stop.wait(interval):
        alive = bus()
        if alive is None:
            break
        with suppress(sqlite3.Error):  # locked or out of reach now: again after the interval
            connection = connection or alive.connect("NORMAL")
            alive.renew(connection)
        del alive
    if connection:
        connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
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


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait by itself while others switch the same new file."""
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_SECONDS)


def _statements(script: str) -> list[str]:
    """The statements of a script; unlike `executescript`, they can run in a transaction."""
    lines = [line.split("--")[0] for line in script.splitlines()]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


# A process is named by the place where its number means something (host and, on Linux, the
# namespace of process numbers), its number, and a random part, for numbers are used again.

_RANDOM = uuid.uuid4().hex


def _place() -> str:
    with suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _this_process() -> str:
    return f"{_place()}|{os.getpid()}|{_RANDOM}"


def _is_gone(holder: str) -> bool:
    """Whether the holder's process has certainly ended; when in doubt, the lease decides."""
    place, number, random, _ = holder.split("|")
    if place != _place() or os.name != "posix":
        return False
    if int(number) == os.getpid():
        return random != _RANDOM
    try:
        os.kill(int(number), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
