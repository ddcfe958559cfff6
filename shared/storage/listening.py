"""Hearing at once, on PostgreSQL, that another process has put something into the outbox.

Whoever commits events says so (`NOTIFY`, in the same transaction, so it is heard only if they are
there); the relay listens on a connection of its own. While that connection is away, and on SQLite,
the relay looks at its interval as ever: hearing is quicker, and nothing depends on it.
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
"""After so long without a word the server is asked whether the connection still holds."""
AGAIN_SECONDS = 2.0
"""Before the next try to reach a server that is away."""
_STOP_SECONDS = 0.5
_STOPPED_WITHIN = 5.0


def tell(connection: Connection) -> None:
    """Say, with the commit of this transaction, that something is in the outbox."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))


class Listening:
    """A thread that calls `heard` whenever somebody tells; from `start` to `stop`.

    Args:
        engine: the database; one that is not PostgreSQL tells nobody anything.
        heard: called, too, when hearing begins: nobody knows what was said before.
    """

    def __init__(self, engine: Engine, heard: Callable[[], None]) -> None:
        self._engine = engine
        self._heard = heard
        self._stop = threading.Event()
        self._hears = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-listening", daemon=True)

    @property
    def hears(self) -> bool:
        """Whether we would be told now."""
        return self._hears.is_set()

    def start(self) -> None:
        """Begin, where there is something to hear."""
        if self._engine.dialect.name == "postgresql":
            self._thread.start()

    def stop(self) -> None:
        """End, and give the connection back; where a server keeps it waiting, not before the
        process ends, which waits for nobody here.
        """
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOPPED_WITHIN)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except self._errors() as error:
                log.info("the outbox is looked into at intervals", extra={"reason": str(error)})
            except Exception:
                log.exception("listening failed; the outbox is looked into at intervals")
            finally:
                self._hears.clear()
            self._stop.wait(AGAIN_SECONDS)

    def _errors(self) -> tuple[type[BaseException], ...]:
        return (self._engine.dialect.loaded_dbapi.Error, SQLAlchemyError, OSError)

    def _listen(self) -> None:
        connection = self._connect()
        try:
            connection.execute(f"LISTEN {CHANNEL}")
            self._hears.set()
            self._heard()
            quiet = 0.0
            while not self._stop.is_set():
                told = False
                for _ in connection.notifies(timeout=_STOP_SECONDS, stop_after=1):
                    told = True
                quiet = 0.0 if told else quiet + _STOP_SECONDS
                if told:
                    self._heard()
                elif quiet >= QUIET_SECONDS:
                    connection.execute("SELECT 1")
                    quiet = 0.0
        finally:
            connection.close()

    def _connect(self) -> Any:
        """A connection of our own, beside the pool: it is held for as long as the relay works."""
        dialect = self._engine.dialect
        url = self._engine.url
        arguments, named = dialect.create_connect_args(url)
        connection: Any = dialect.connect(*arguments, **named, **timeouts(url))
        connection.autocommit = True
        return connection
