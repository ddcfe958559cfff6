"""Limits of one client on heads, time and connections.

Bodies are limited where they are read (`shared.web.app`, `services.ingest.uploads.multipart`).
"""

from __future__ import annotations

import asyncio
import fcntl
import http
import json
import logging
import sys
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.web.openapi import problem_body

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerLimits:
    """Limits of a client."""

    connections: int = 500
    """Most open connections; further ones get 503 with `Retry-After`."""
    head_bytes: int = 32_768
    """Bytes of request line and headers."""
    head_seconds: float = 15.0
    """Seconds from the connection, or the first byte of a further request, to the head's end."""
    body_seconds: float = 30.0
    """A body must bring `body_bytes`, or its end, in each such period."""
    body_bytes: int = 15_000
    """500 bytes a second: the slowest line of an upload."""
    read_seconds: float = 120.0
    """A client must take `read_bytes`, or all that is ready, in each such period."""
    read_bytes: int = 60_000
    """500 bytes a second, as for bodies."""


EXTRA_CONNECTIONS = 100
"""Connections above the limit that are still answered. For a further one the longest idle
connection is closed. If none is idle, the further one is closed without an answer."""
RETRY_SECONDS = 1
WARN_SECONDS = 60.0
PROBED = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that are always answered: a busy process is healthy."""
ALWAYS = PROBED | {"/v1/keys/self"}
"""Also the check of keys that other services request of ingest (`RemoteKeys`)."""
CODES = {
    400: ("bad_request", "This is not an HTTP/1.1 request."),
    408: ("request_timeout", "The request came too slowly. Send it again."),
    431: ("request_head_too_large", "The request line and headers are too long."),
    503: ("unavailable", "This process has too many connections. Retry in a moment."),
}


class OverloadMiddleware:
    """Answers 503 or 431 to requests beyond the limits."""

    def __init__(self, app: ASGIApp, bounds: ServerLimits) -> None:
        self.app = app
        self.bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _head_bytes(scope) > self.bounds.head_bytes:
            await _refuse(431, send)
        elif scope.get(OVERLOADED) and scope["path"] not in ALWAYS:
            await _refuse(503, send)
        else:
            await self.app(scope, receive, send)


OVERLOADED = "smallprint.crowded"
"""Key in the scope of requests above the limit of connections."""


def _head_bytes(scope: Scope) -> int:
    """Bytes of a head; h11 does not limit one in one piece."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _answer(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    code, detail = CODES[status]
    data = json.dumps(problem_body(status, code, detail)).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(data)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    return headers, data


async def _refuse(status: int, send: Send) -> None:
    headers, data = _answer(status)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


class BoundedConnection(H11Protocol):
    """One connection with limits. The server sets `bounds` and `silent` for all its connections."""

    bounds = ServerLimits()
    silent: ClassVar[dict[BoundedConnection, None]] = {}
    """Connections without a request, longest idle first."""
    _warned_at = -WARN_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._timed = ""
        self._received = 0
        self._slow_reader: asyncio.TimerHandle | None = None
        self._pending, self._pending_of = 0, self.cycle

    # Called by asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if (
            len(self.connections) > self.bounds.connections + EXTRA_CONNECTIONS
            and not self._close_idle()
        ):
            transport.abort()
            return
        if self._overloaded():
            self.app = self._mark_overload(self.app)
            self._warn()
        self._restart_timer(received=True)

    def _overloaded(self) -> bool:
        return len(self.connections) > self.bounds.connections

    def _mark_overload(self, app: Any) -> Any:
        async def marked(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, OVERLOADED: self._overloaded()}, receive, send)

        return marked

    def _close_idle(self) -> bool:
        """Close the longest idle connection. Returns whether there was one."""
        for connection in self.silent:
            if not connection.transport.get_write_buffer_size():
                del self.silent[connection]
                connection.transport.abort()
                return True
        return False

    def _warn(self) -> None:
        """Log that the limit is reached, not for each connection."""
        now = time.monotonic()
        if now - BoundedConnection._warned_at > WARN_SECONDS:
            BoundedConnection._warned_at = now
            log.warning("too many connections", extra={"most": self.bounds.connections})

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        self._restart_timer(received=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._start_timer("")
        self._stop_reading_timer()
        self.silent.pop(self, None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_reader()

    # Called by uvicorn

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._restart_timer(received=bool(self.conn.trailing_data[0]))
        self._watch_reader()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the error says more
        """Called with an error of h11, which knows the status."""
        error = sys.exception()
        hint = getattr(error, "error_status_hint", 400)
        self._end(hint if hint in CODES else 400)

    # Time

    def _at_work(self) -> bool:
        """Return whether a request waits for the end of its response."""
        return self.cycle is not None and not self.cycle.response_complete

    def _restart_timer(self, *, received: bool) -> None:
        """Start the timer for what the client has to send next.

        Args:
            received: whether anything came that could start a request, such as an empty line;
                otherwise uvicorn closes the connection itself.
        """
        if self._at_work() or self.transport.is_closing():
            self.silent.pop(self, None)
        else:
            self.silent.setdefault(self)
        if self.transport.is_closing():
            self._start_timer("")
        elif self.conn.their_state is h11.SEND_BODY:
            self._start_timer("body")
        elif self.conn.their_state is h11.IDLE and received:
            self._start_timer("head")
        else:
            self._start_timer("")

    def _start_timer(self, purpose: str) -> None:
        """Start a timer for this purpose, unless it runs already."""
        if purpose == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed, self._received = purpose, 0
        if purpose == "head":
            self._timer = self.loop.call_later(self.bounds.head_seconds, self._too_slow)
        elif purpose == "body":
            self._timer = self.loop.call_later(self.bounds.body_seconds, self._look_at_body)

    def _look_at_body(self) -> None:
        """End a slow body, unless we don't read it or have yet to send `100 Continue`."""
        waits_for_us = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self._received < self.bounds.body_bytes and not waits_for_us:
            self._too_slow()
            return
        self._received = 0
        self._timer = self.loop.call_later(self.bounds.body_seconds, self._look_at_body)

    def _too_slow(self) -> None:
        if self._timed == "head" and not self._received:
            self.transport.close()  # idle: no request has started
        else:
            self._end(408)

    def _end(self, status: int) -> None:
        """Answer, unless a response has started, and close."""
        self._start_timer("")
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers, data = _answer(status)
            reason = http.HTTPStatus(status).phrase.encode()
            for event in (
                h11.Response(status_code=status, headers=headers, reason=reason),
                h11.Data(data=data),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _watch_reader(self) -> None:
        """Start the timer of a slow reader, unless its response still grows."""
        self._stop_reading_timer()
        added_to = self._at_work() and not self.flow.write_paused
        if not added_to and self.transport.get_write_buffer_size():
            self._pending, self._pending_of = _untaken(self.transport), self.cycle
            self._slow_reader = self.loop.call_later(self.bounds.read_seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        """Close a connection that took too little, unless the response is complete or has grown."""
        taken = self._pending - _untaken(self.transport)
        same = self.cycle is self._pending_of and self.transport.get_write_buffer_size() > 0
        if same and taken < self.bounds.read_bytes:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_reading_timer(self) -> None:
        if self._slow_reader is not None:
            self._slow_reader.cancel()
            self._slow_reader = None


def _untaken(transport: asyncio.Transport) -> int:
    """Return the bytes that the client has not received, here and, on Linux, in the kernel.

    Linux asks for more only after a third of its buffer is sent, which may be megabytes, so the
    number here stays constant for long (tcp(7), SIOCOUTQ).
    """
    unsent = b""
    with suppress(OSError, ValueError):
        unsent = fcntl.ioctl(
            transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4)
        )
    return transport.get_write_buffer_size() + int.from_bytes(unsent, sys.byteorder)
