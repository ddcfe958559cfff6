"""Keeps other programs out of a PostgreSQL database while it is restored.

A restore holds an exclusive advisory lock of its session, which ends with its connection. Another
restore or a migration finds the lock and is refused. Migrations share the lock, and a restore is
refused meanwhile. `application_name` tells who holds it. SQLite needs no lock here: that of the
data folder keeps others out (`services.cli.deployment.lock`).
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
"""The number of the advisory lock; no other lock here has it."""
_RESTORE, _MIGRATION = "ExclusiveLock", "ShareLock"
"""The modes of `pg_locks` by which a restore or a migration holds the lock."""
_HOLDER = text(
    "SELECT a.application_name, a.client_addr, a.backend_start FROM pg_locks l"
    " JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted"
    " AND l.mode = :mode AND l.classid = 0 AND l.objid = :lock AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@contextmanager
def restoring(urls: Mapping[str, str]) -> Iterator[None]:
    """Keep other restores and migrations out of these databases inside the block.

    Args:
        urls: PostgreSQL URLs by service.

    Raises:
        Conflict: another restore or a migration works on one of them.
    """
    with ExitStack() as stack:
        for name, url in sorted(urls.items()):
            parsed = make_url(url)
            engine = create_engine(
                parsed,
                connect_args=timeouts(parsed) | {"application_name": _application_name("restore")},
                isolation_level="AUTOCOMMIT",  # it stays open for long
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
    """Release the lock now: the server may notice the closed connection later."""
    with suppress(DBAPIError):  # a lost connection holds no lock
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def refuse_while_restored(connection: Connection) -> None:
    """Keep restores out until the transaction ends. Raises SettingsError if one is at work."""
    named = text("SELECT set_config('application_name', :name, true)")
    connection.execute(named, {"name": _application_name("migration")})
    asked = text("SELECT pg_try_advisory_xact_lock_shared(:lock)")
    if not connection.execute(asked, {"lock": _LOCK}).scalar_one():
        holder = _holder(connection, _RESTORE) or "one that has just ended"
        raise SettingsError(
            f"this database is being restored ({holder}): start again once that has ended"
        )


def _application_name(what: str) -> str:
    """The application name of a connection, of at most 63 characters."""
    return f"smallprint {what}, process {os.getpid()} on {socket.gethostname()}"[:63]


def _why(name: str, connection: Connection) -> str:
    """The reason why a database can't be restored now."""
    if holder := _holder(connection, _RESTORE):
        return f"another restore is using the database of {name}: {holder}"
    if holder := _holder(connection, _MIGRATION):
        return (
            f"a suite is starting with the database of {name} and migrating its tables: {holder};"
            " stop it, or name a new database"
        )
    return f"somebody used the database of {name} a moment ago: try again"


def _holder(connection: Connection, mode: str) -> str:
    """Who holds the lock in this mode; empty if nobody does."""
    row = connection.execute(_HOLDER, {"lock": _LOCK, "mode": mode}).first()
    if row is None:
        return ""
    if row.backend_start is None:  # the server hides it from other users
        return f"{row.application_name}, by another user of the server"
    where = row.client_addr or "the same machine"
    return f"{row.application_name}, connected from {where} since {row.backend_start:%F %T %z}"
