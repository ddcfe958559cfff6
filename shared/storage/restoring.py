"""A database of a server that is restored is nobody else's meanwhile.

Who restores holds a lock of the session in each database, by a connection that says in the list of
the server's activities who it is. It goes with the connection, however its process ends. Another
restore, and a program that would bring the tables up to date, finds it and is refused; such a
program shares the lock with its like, and refuses a restore. Files of SQLite need none: the lock of
their data folder keeps others out (`shared.cli.lock`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.errors import Conflict, SettingsError, Unavailable
from shared.storage.timeouts import timeouts

_LOCK = 0x72657374
"""Any number that only restores take."""
_RESTORE, _MIGRATION = "ExclusiveLock", "ShareLock"
"""Who holds the lock, by the mode that the server lists."""
_HOLDER = text(
    "SELECT a.application_name, a.client_addr, a.backend_start FROM pg_locks l"
    " JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted"
    " AND l.mode = :mode AND l.classid = 0 AND l.objid = :lock AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@contextmanager
def restoring(urls: Mapping[str, str]) -> Iterator[None]:
    """Keep others from restoring to these databases, and from starting on them, for the time of the
    block.

    Args:
        urls: of PostgreSQL, by service.

    Raises:
        Conflict: another restore is at work on one of them, or a program that brings its tables up
            to date.
    """
    with ExitStack() as stack:
        for name, url in sorted(urls.items()):
            parsed = make_url(url)
            engine = create_engine(
                parsed,
                connect_args=timeouts(parsed) | {"application_name": _told("restore")},
                isolation_level="AUTOCOMMIT",  # it is open for long, and is no transaction
                hide_parameters=True,
            )
            stack.callback(engine.dispose)
            try:
                connection = stack.enter_context(engine.connect())
            except OperationalError as error:
                raise Unavailable(f"the database of {name} does not answer: {error.orig}") from None
            asked = text("SELECT pg_try_advisory_lock(:lock)")
            if not connection.execute(asked, {"lock": _LOCK}).scalar_one():
                raise Conflict(_why(name, connection))
            stack.callback(_let_go, connection)
        yield


def _let_go(connection: Connection) -> None:
    """Release the lock now: a server may notice the end of a connection a moment later."""
    with suppress(DBAPIError):  # a connection that is lost holds nothing
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def refuse_while_restored(connection: Connection) -> None:
    """Raise SettingsError if a restore is at work on the database, and keep one from beginning
    until the transaction ends, who is told which process it is.
    """
    named = text("SELECT set_config('application_name', :told, true)")
    connection.execute(named, {"told": _told("migration")})
    asked = text("SELECT pg_try_advisory_xact_lock_shared(:lock)")
    if not connection.execute(asked, {"lock": _LOCK}).scalar_one():
        holder = _holder(connection, _RESTORE) or "one that has just ended"
        raise SettingsError(
            f"this database is being restored ({holder}): start again once that has ended"
        )


def _told(what: str) -> str:
    """How a connection is listed, in what a server keeps of a name."""
    return f"smallprint {what}, process {os.getpid()} on {socket.gethostname()}"[:63]


def _why(name: str, connection: Connection) -> str:
    """Why a database can't be restored to now."""
    if holder := _holder(connection, _RESTORE):
        return f"another restore is at work on the database of {name}: {holder}"
    if holder := _holder(connection, _MIGRATION):
        return (
            f"a suite starts on the database of {name}, and brings its tables up to date: {holder};"
            " stop it, or name a new database"
        )
    return f"somebody worked on the database of {name} a moment ago: begin again"


def _holder(connection: Connection, mode: str) -> str:
    """Who has the lock, as the server lists him; empty where nobody has it so."""
    row = connection.execute(_HOLDER, {"lock": _LOCK, "mode": mode}).first()
    if row is None:
        return ""
    if row.backend_start is None:  # which the server tells nobody but him, and those above him
        return f"{row.application_name}, by another user of the server"
    where = row.client_addr or "the same machine"
    return f"{row.application_name}, connected from {where} since {row.backend_start:%F %T %z}"
