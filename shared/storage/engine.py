"""One database of one service: SQLite (WAL) by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import Session

from shared.errors import InvalidRequest, SettingsError, Unavailable
from shared.storage.migrate import migrate, must_be_current
from shared.storage.notifications import Notifications
from shared.storage.signal import Signal
from shared.storage.tenant_isolation import guard
from shared.storage.timeouts import timeouts

_READ = "sqlite_read"
WAIT = 30.0
"""Seconds to wait for another writer of SQLite, or for a free connection to PostgreSQL."""
CONNECTIONS = 10
"""The most connections of one process to one PostgreSQL database."""
OF_A_FILE = 50
"""The most connections of one process to one SQLite file: more than the 40 threads for requests."""
_READ_ONLY = "25006"
"""PostgreSQL's `read_only_sql_transaction`: the server takes no writes now.

Its class is for mistakes of programs, unlike other states of a server (classes 08, 53, 57 and 58),
which are OperationalErrors.
"""


class Store:
    """One service's database: engine, migrations, and signals for its relay and workers.

    Args:
        url: SQLAlchemy URL, `sqlite:///path` or `postgresql+psycopg://…`.
        service: the name that errors and logs use.
        migrations: folder of the Alembic revisions.
        connections: the most PostgreSQL connections of this process; a relay has one more to
            listen on. SQLite may have `OF_A_FILE`, which are cheap.
    """

    def __init__(
        self, url: str, service: str, migrations: Path, connections: int = CONNECTIONS
    ) -> None:
        self.service = service
        self.migrations = migrations
        self.outbox_filled = threading.Event()
        self.inbox_changed = Signal()
        self.engine = _open(url, service, connections)

    def migrate(self, revision: str = "head", *, restoring: bool = False) -> None:
        """Bring the tables to a revision; safe when several processes start at once.

        Raises SettingsError while others restore the database (`restoring`: this process does).
        """
        with _translated(self.service):
            migrate(self.engine, self.migrations, revision, restoring=restoring)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may change rows; committed at the end, rolled back by an error."""
        with (
            _translated(self.service),
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads, and never waits for a writer."""
        engine = self.engine.execution_options(**{_READ: True})
        with _translated(self.service), Session(engine) as session, session.begin():
            yield session

    def must_be_current(self) -> None:
        """Raise SettingsError unless the tables have this program's revision."""
        with _translated(self.service):
            must_be_current(self.engine, self.migrations)

    def listening(self) -> Notifications:
        """Notifications that set `outbox_filled` when another process commits events."""
        return Notifications(self.engine, self.outbox_filled.set)

    def ready(self) -> None:
        """Raise Unavailable unless the database answers."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def _open(url: str, service: str, connections: int) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            kept = min(5, connections)
            engine = create_engine(
                parsed,
                connect_args=timeouts(parsed),
                pool_pre_ping=True,
                pool_size=kept,
                max_overflow=connections - kept,
                pool_timeout=WAIT,
                hide_parameters=True,
            )
            event.listen(engine, "handle_error", _leave_a_copy)
            guard(engine)
            return engine
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise SettingsError(f"the database URL of {service} can't be used: {error}") from None
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        connect_args={"timeout": WAIT, "check_same_thread": False},
        **_pool(parsed.database),
        hide_parameters=True,  # errors are logged, without rows
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    guard(engine)
    return engine


def _pool(file: str | None) -> dict[str, Any]:
    """Return the limit of connections to a file; a database in memory has one."""
    if not file or file == ":memory:":
        return {}
    return {"pool_size": 5, "max_overflow": OF_A_FILE - 5, "pool_timeout": WAIT}


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = (
        None  # we send BEGIN ourselves, so that writers queue instead of failing late
    )
    cursor = connection.cursor()
    use_wal(cursor, WAIT)
    pragmas = ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={WAIT * 1000:.0f}")
    for pragma in (*pragmas, "secure_delete=ON"):  # deleted rows are overwritten
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def use_wal(database: sqlite3.Connection | sqlite3.Cursor, seconds: float) -> None:
    """Switch to WAL. SQLite itself does not wait while others switch the same new file."""
    end = time.monotonic() + seconds
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    read = connection.get_execution_options().get(_READ)
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


def _takes_no_writes(error: BaseException | None) -> bool:
    """Whether PostgreSQL refused a write because it is read-only now."""
    return getattr(error, "sqlstate", None) == _READ_ONLY


def _leave_a_copy(context: ExceptionContext) -> None:
    """Drop pooled connections to a read-only copy, where a name or pooler may lead for a while."""
    if _takes_no_writes(context.original_exception):
        context.is_disconnect = True


@contextmanager
def _translated(service: str) -> Iterator[None]:
    """Raise `Unavailable` for a silent database, `InvalidRequest` for a value it can't store."""
    try:
        yield
    except DataError as error:
        raise InvalidRequest(
            "a value can't be stored: it has a character that no text may have (such as NUL), or is"
            " too long or too large"
        ) from error
    except NoConnectionLeft as error:
        raise Unavailable(
            f"all connections of this process to the database of {service} are in use: the request"
            " is retried; SMALLPRINT_DATABASE_CONNECTIONS allows more"
        ) from error
    except OperationalError as error:
        raise Unavailable(f"the database of {service} does not answer: {error.orig}") from error
    except DBAPIError as error:
        if _takes_no_writes(error.orig):
            raise Unavailable(
                f"the database of {service} is read-only now ({error.orig}): the request is"
                " retried; check that the URL is not that of a standby, that the disk is not full"
                " and that default_transaction_read_only is off"
            ) from error
        if error.connection_invalidated:
            raise Unavailable(
                f"the database of {service} closed the connection: {error.orig}"
            ) from error
        raise
