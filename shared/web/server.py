"""A server that stops gracefully.

A client may send its next request just as the server closes the connection. So after SIGTERM the
server still answers for some seconds, with `Connection: close`, and the client opens its next
connection to another process. Connections that stay silent that long are closed.
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

from shared.web.connections import BoundedConnection, OverloadMiddleware, ServerLimits

DRAIN_SECONDS = 2.5
"""Longer than the proxy keeps an unused connection (`services.proxy.proxy.IDLE`)."""

OPEN_FILES = 65_536
"""Files and connections of a server: each connection with an upload of a hundred files. The default
of many systems is 1,024.
"""


def allow_open_files() -> None:
    """Raise the limit of open files to `OPEN_FILES`, or as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(ValueError, OSError):  # macOS may allow fewer than its limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


class DrainMiddleware:
    """Adds `Connection: close` to responses once the server is `leaving`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if self.draining and message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, closing if scope["type"] == "http" else send)


class Server(uvicorn.Server):
    """A uvicorn server with limits and a graceful end.

    Args:
        stop: set when it is to end.
        started: called with the port once connections are accepted.
        let_go: called when it is to end, to release waiting requests.
        leave: seconds of answering after SIGTERM; SIGINT or a second signal ends it at once.
        bounds: limits of clients.
        trusted_proxies: addresses and networks, comma-separated, from which `X-Forwarded-For` and
            `X-Forwarded-Proto` are believed; `*`: any.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        stop: threading.Event,
        started: Callable[[int], None] | None = None,
        let_go: Callable[[], None] = lambda: None,
        leave: float = 0.0,
        bounds: ServerLimits | None = None,
        trusted_proxies: str = "",
    ) -> None:
        bounds = bounds or ServerLimits()
        self._application = DrainMiddleware(OverloadMiddleware(config.app, bounds))  # type: ignore[arg-type]
        config.app = self._application
        attributes = {"bounds": bounds, "silent": {}}
        config.http = type("Protocol", (BoundedConnection,), attributes)
        config.h11_max_incomplete_event_size = bounds.head_bytes
        config.ws = "none"
        config.proxy_headers = bool(trusted_proxies)
        config.forwarded_allow_ips = trusted_proxies
        super().__init__(config)
        self._stop = stop
        self._announce = started
        self._on_stop = let_go
        self._drain = leave
        self._stopping = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with the limit of open files raised."""
        allow_open_files()
        await super().startup(sockets)
        if self.started and self._announce:
            self._announce(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Stop gracefully.

        Unlike uvicorn's own method it does not raise the signal again, which would end the process
        before its threads and resources are released.
        """
        repeated = self._stopping or self._stop.is_set()
        if not self._stopping:
            self._stopping = True  # first: the calls below take locks, and another signal may come
            self._stop.set()
            self._on_stop()
            self._application.draining = True
        if sig == signal.SIGTERM and self._drain and not repeated:
            timer = threading.Timer(self._drain, setattr, (self, "should_exit", True))
            timer.daemon = True
            timer.start()
            return
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
