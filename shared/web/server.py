"""How a process that serves HTTP ends: calmly, and so that clients hardly notice.

A client that keeps a connection open may send its next request at the very moment at which the
server closes it, and nobody knows then whether it was done. So a server that is asked to end by
SIGTERM still answers for a moment, on open connections and new ones, and says `Connection: close`
with each answer: whoever asks again opens another connection, and comes to whoever serves by then.
What is open after that moment has been silent for as long, and is closed.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.web.connections import BoundedConnection, Bounds, Crowded

LEAVE_SECONDS = 2.5
"""Longer than the origin keeps a connection that it does not use (`infra.origin.IDLE`)."""

OPEN_FILES = 65_536
"""Files and connections that a server may have open: each connection of `Bounds` with an upload of
a hundred files. Systems give a process 1,024 unless it asks for more."""


def allow_open_files() -> None:
    """Ask for `OPEN_FILES`, or as many as this process may; it never has fewer than before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):  # macOS may let it have fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Leaving:
    """An application around another, which asks for new connections once it is `leaving`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.leaving = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; answers that begin from then on close their connection."""

        async def closing(message: Message) -> None:
            if self.leaving and message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, closing if scope["type"] == "http" else send)


class Server(uvicorn.Server):
    """A server that says when it accepts connections, and tells others when it is to end.

    Args:
        stop: is set when it is to end.
        started: is told the port once connections are accepted.
        let_go: is called when it is to end, so that nobody is waited for who waits himself.
        leave: seconds for which it still answers after SIGTERM. SIGINT, or a second signal, ends it
            without them.
        bounds: what clients may take; by default what `Bounds` says.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        stop: threading.Event,
        started: Callable[[int], None] | None = None,
        let_go: Callable[[], None] = lambda: None,
        leave: float = 0.0,
        bounds: Bounds | None = None,
    ) -> None:
        bounds = bounds or Bounds()
        self._application = Leaving(Crowded(config.app, bounds))  # type: ignore[arg-type]
        config.app = self._application
        own = {"bounds": bounds, "silent": {}}
        config.http = type("Protocol", (BoundedConnection,), own)
        config.h11_max_incomplete_event_size = bounds.head_bytes
        config.ws = "none"
        super().__init__(config)
        self._stop = stop
        self._announce = started
        self._let_go = let_go
        self._leave = leave
        self._asked = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with room for many open files."""
        allow_open_files()
        await super().startup(sockets)
        if self.started and self._announce:
            self._announce(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Stop calmly. Unlike uvicorn's own, it does not raise the signal again at the end, which
        would end the process before its threads and parts are given back."""
        again = self._asked or self._stop.is_set()
        if not self._asked:
            self._asked = True  # first: a signal may come within these calls, which take locks
            self._stop.set()
            self._let_go()
            self._application.leaving = True
        if sig == signal.SIGTERM and self._leave and not again:
            last = threading.Timer(self._leave, setattr, (self, "should_exit", True))
            last.daemon = True
            last.start()
            return
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
