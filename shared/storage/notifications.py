"""LISTEN/NOTIFY on PostgreSQL: the relay learns at once that the outbox has new events.

A transaction with events also sends `NOTIFY`. The relay listens on its own connection. Without it,
and on SQLite, the relay polls the outbox: notifications only make it faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.storage.timeouts import timeouts

log = logging.getLogger(__name__)

CHANNEL = "smallprint_outbox"
QUIET_SECONDS = 15.0
"""Seconds without a notification until the connection is checked."""
AGAIN_SECONDS = 2.0
"""Seconds until an unavailable server is tried again."""
_STOP_SECONDS = 0.5
_STOPPED_WITHIN = 5.0


def notify(connection: Connection) -> None:
    """Notify listeners when this transaction commits."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))


class Notifications:
    """A thread that calls `notified` at each notification, from `start` to `stop`.

    Args:
        engine: the database. Only PostgreSQL sends notifications.
        notified: called also when listening begins, since earlier notifications are lost.
    """

    def __init__(self, engine: Engine, notified: Callable[[], None]) -> None:
        self._engine = engine
        self._notified = notified
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-listening", daemon=True)

    @property
    def is_listening(self) -> bool:
        """Whether notifications arrive now."""
        return self._listening.is_set()

    def start(self) -> None:
        """Listen, on PostgreSQL."""
        if self._engine.dialect.name == "postgresql":
            self._thread.start()

    def stop(self) -> None:
        """Stop and close the connection, without a long wait for a silent server."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOPPED_WITHIN)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except self._errors() as error:
                log.info("no notifications: the relay polls instead", extra={"reason": str(error)})
            except Exception:
                log.exception("listening failed: the relay polls instead")
            finally:
                self._listening.clear()
            self._stop.wait(AGAIN_SECONDS)

    def _errors(self) -> tuple[type[BaseException], ...]:
        return (self._engine.dialect.loaded_dbapi.Error, SQLAlchemyError, OSError)

    def _listen(self) -> None:
        connection = self._connect()
        try:
            connection.execute(f"LISTEN {CHANNEL}")
            self._listening.set()
            self._notified()
            quiet = 0.0
            while not self._stop.is_set():
                came = False
                for _ in connection.notifies(timeout=_STOP_SECONDS, stop_after=1):
                    came = True
                quiet = 0.0 if came else quiet + _STOP_SECONDS
                if came:
                    self._notified()
                elif quiet >= QUIET_SECONDS:
                    connection.execute("SELECT 1")
                    quiet = 0.0
        finally:
            connection.close()

    def _connect(self) -> Any:
        """A connection outside of the pool: it stays open while the relay works."""
        dialect = self._engine.dialect
        url = self._engine.url
        arguments, named = dialect.create_connect_args(url)
        connection: Any = dialect.connect(*arguments, **named, **timeouts(url))
        connection.autocommit = True
        return connection
