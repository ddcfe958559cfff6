"""Snapshots of several databases at the same moment, while others write to them.

All databases are locked against writing for a moment. Then each begins a transaction that reads its
state, and the locks are released. So the snapshots agree as after a power cut at that moment. The
copies are made afterwards and block nobody.

A writer may hold one database and wait for another. So a lock that does not come soon is given up,
and all locks are tried again.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.errors import SettingsError, SuiteError, Unavailable
from shared.storage.timeouts import timeouts

LOCK_SECONDS = 2.0
"""Seconds to wait for one database while others are locked."""
TRIES = 60


class BusyDatabases(Unavailable):
    """The databases could not be stopped from writing at the same moment."""

    code = "busy_databases"


@contextmanager
def snapshots(urls: Mapping[str, str]) -> Iterator[list[_Sqlite | _Postgres]]:
    """Snapshots of all databases at one moment, valid inside the block.

    Args:
        urls: SQLAlchemy URLs by name: `sqlite:///path` or `postgresql+psycopg://…`.

    Raises:
        SuiteError: a database is missing, or they can't be locked at the same time.
    """
    with ExitStack() as stack:
        found: list[_Sqlite | _Postgres] = []
        for name, url in sorted(urls.items()):
            one = _Sqlite(name, url) if url.startswith("sqlite:///") else _Postgres(name, url)
            stack.callback(one.close)
            found.append(one)
        _pin(found)
        yield found


def _pin(found: list[_Sqlite | _Postgres]) -> None:
    for _ in range(TRIES):
        try:
            for one in found:
                one.lock()
            for one in found:
                one.pin()
        except (sqlite3.OperationalError, OperationalError, DBAPIError):
            for one in found:
                one.unlock()
            time.sleep(random.uniform(0.05, 0.5))
            continue
        for one in found:
            one.unlock()
        return
    raise BusyDatabases(
        f"{len(found)} databases could not be locked at the same moment in {TRIES} attempts, "
        "because of a long write or another lock: try again when the suite is less busy"
    )


class _Sqlite:
    """A file, read by the backup interface of SQLite."""

    suffix = ".db"  # of the copy

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        path = Path(url.removeprefix("sqlite:///"))
        if not path.is_file():
            raise SettingsError(f"there is no database of {name}: {path}")
        self._reader = _connect(path)
        self._writer = _connect(path)

    def lock(self) -> None:
        """Block writers."""
        self._writer.execute("BEGIN IMMEDIATE")

    def pin(self) -> None:
        """Begin the transaction of the snapshot."""
        if self._reader.in_transaction:
            self._reader.execute("ROLLBACK")  # left by a try when another database was busy
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def unlock(self) -> None:
        """Unblock writers."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def copy(self, path: Path) -> None:
        """Write the snapshot to a new file. Raises SuiteError."""
        with closing(sqlite3.connect(path)) as target:
            self._reader.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            (state,) = target.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            raise SuiteError(f"the database of {self.name} is damaged ({state}): it was not copied")

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)


class _Postgres:
    """A database of a server, read by `pg_dump` in an exported snapshot."""

    suffix = ".dump"

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = make_url(url)
        self._engine = _engine(self.url)
        self._stack = ExitStack()
        self._stack.callback(self._engine.dispose)
        try:
            self._writer = self._stack.enter_context(self._engine.connect())
            self._reader = self._stack.enter_context(self._engine.connect())
        except OperationalError as error:
            self._stack.close()
            raise Unavailable(f"the database of {name} does not answer: {error.orig}") from None
        self._snapshot = ""

    def lock(self) -> None:
        """Block writers."""
        most = f"'{int(LOCK_SECONDS * 1000)}ms'"
        self._writer.exec_driver_sql(f"SET LOCAL statement_timeout = {most}")
        names = ", ".join(_quoted(self._writer, table) for table in _tables(self._writer))
        if names:
            self._writer.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")

    def pin(self) -> None:
        """Begin the transaction of the snapshot."""
        self._reader.rollback()
        begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._reader.exec_driver_sql(begin)
        self._snapshot = str(self._reader.execute(text("SELECT pg_export_snapshot()")).scalar_one())

    def unlock(self) -> None:
        """Unblock writers."""
        self._writer.rollback()

    def copy(self, path: Path) -> None:
        """Write the snapshot to a new file. Raises SuiteError."""
        options = ["--format=custom", "--no-owner", "--no-privileges", "--file", str(path)]
        _run("pg_dump", self.url, [f"--snapshot={self._snapshot}", *options], self.name)

    def close(self) -> None:
        """Close the connections."""
        with suppress(DBAPIError):
            self._stack.close()


def is_empty(url: str) -> bool:
    """Whether a database has no table. Raises Unavailable if it does not answer."""
    engine = _engine(make_url(url))
    try:
        with engine.connect() as connection:
            return not _tables(connection)
    except OperationalError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise Unavailable(f"the database {shown} does not answer: {error.orig}") from None
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    return create_engine(url, connect_args=timeouts(url), hide_parameters=True)


def load_dump(url: str, path: Path, name: str) -> None:
    """Load a dump into an empty PostgreSQL database in one transaction. Raises SuiteError."""
    options = ["--exit-on-error", "--no-owner", "--no-privileges", "--single-transaction"]
    _run("pg_restore", make_url(url), [*options, str(path)], name)


def _tables(connection: Connection) -> list[str]:
    query = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
    return list(connection.execute(query).scalars())


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _run(program: str, url: URL, options: list[str], name: str) -> None:
    """Run a PostgreSQL program on a database; its password is in no list of processes."""
    found = program_of_postgres(program)
    bounds = timeouts(url)
    bounds.pop("tcp_user_timeout", None)  # a restore sends much, to a disk that may be slow
    plain = url.set(drivername="postgresql", password=None).update_query_dict(bounds)
    where = ["--dbname", plain.render_as_string(hide_password=False)]
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    done = subprocess.run(
        [found, *where, "--no-password", *options],
        env={**os.environ, **password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        errors = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SuiteError(f"{program} failed for the database of {name}: {errors[0]}")


def program_of_postgres(name: str) -> str:
    """Find a PostgreSQL program: in the newest of Debian's folders, or on the path.

    Raises SettingsError.
    """
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in newest:
        if (folder / name).is_file():
            return str(folder / name)
    if found := shutil.which(name):
        return found
    raise SettingsError(
        f"there is no {name}: install the client of PostgreSQL, of the server's version or newer"
    )
