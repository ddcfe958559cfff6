"""How much of a server one client can hold: bounds on heads, on time, and on connections.

Bodies are bounded where they are read (`shared.web.app`, `services.ingest.uploads`). Here it is the
rest that a client decides about: how long the head of a request is, how slowly it sends and reads,
and how many connections it keeps. What goes beyond is answered where that is possible, and closed.
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

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What a client may take."""

    connections: int = 500
    """Open at the same time; requests on further ones are answered 503 with `Retry-After`."""
    head_bytes: int = 32_768
    """Of a request: its line and its headers."""
    head_seconds: float = 15.0
    """From the connection, or the first byte of a further request, until its head is here."""
    body_seconds: float = 30.0
    """In each of which a body that is waited for brings `body_bytes`, or its end."""
    body_bytes: int = 15_000
    """500 bytes a second: the slowest line that an upload may come over."""
    read_seconds: float = 120.0
    """In each of which a client takes `read_bytes` of what lies ready for it, or all of it."""
    read_bytes: int = 60_000
    """500 bytes a second, as for bodies."""


BEYOND = 100
"""Connections above the bound that are still answered. For a further one that goes which has been
without a request for the longest; where all have one, the further one is closed unheard."""
AGAIN_SECONDS = 1
TELL_SECONDS = 60.0
PROBED = frozenset({"/livez", "/readyz", "/metrics"})
"""Answered at any time: a process that is busy is not ill."""
ALWAYS = PROBED | {"/v1/keys/self"}
"""And so is what the other services ask of ingest before they answer anybody (`RemoteKeys`)."""
CODES = {
    400: ("bad_request", "this is no request of HTTP/1.1"),
    408: ("request_timeout", "the request came too slowly: send it again"),
    431: ("request_head_too_large", "the line and the headers of this request are too long"),
    503: ("unavailable", "this process has as many connections as it takes: ask again"),
}


class Crowded:
    """An application around another, which asks those that are too many to come again."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self.app = app
        self.bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within bounds."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _head_bytes(scope) > self.bounds.head_bytes:
            await _refuse(431, send)
        elif scope.get(CROWDED) and scope["path"] not in ALWAYS:
            await _refuse(503, send)
        else:
            await self.app(scope, receive, send)


CROWDED = "smallprint.crowded"
"""In the scope of requests that come, while it is crowded, on a connection above the bound."""


def _head_bytes(scope: Scope) -> int:
    """A head that came whole is not held against any bound by h11."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _answer(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    code, detail = CODES[status]
    body = {
        "type": f"urn:smallprint:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
    }
    data = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(data)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", str(AGAIN_SECONDS).encode()))
    return headers, data


async def _refuse(status: int, send: Send) -> None:
    headers, data = _answer(status)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


class BoundedConnection(H11Protocol):
    """One connection, whose client is held to the bounds.

    `bounds` and `silent` are set by whoever serves, for all connections of one server.
    """

    bounds = Bounds()
    silent: ClassVar[dict[BoundedConnection, None]] = {}
    """Those without a request at hand, the one that has been so for the longest first."""
    _told = -TELL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._for = ""
        self._came = 0
        self._slow_reader: asyncio.TimerHandle | None = None
        self._lay, self._lay_of = 0, self.cycle

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections + BEYOND and not self._make_room():
            transport.abort()
            return
        if self._crowded():
            self.app = self._unless_crowded(self.app)
            self._tell()
        self._watch(asked=True)

    def _crowded(self) -> bool:
        return len(self.connections) > self.bounds.connections

    def _unless_crowded(self, app: Any) -> Any:
        async def asked(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, CROWDED: self._crowded()}, receive, send)

        return asked

    def _make_room(self) -> bool:
        """Close the connection that loses least by it; says whether there was one."""
        for one in self.silent:
            if not one.transport.get_write_buffer_size():
                del self.silent[one]
                one.transport.abort()
                return True
        return False

    def _tell(self) -> None:
        """Say that it is crowded, and not for each that comes."""
        now = time.monotonic()
        if now - BoundedConnection._told > TELL_SECONDS:
            BoundedConnection._told = now
            log.warning(
                "as many connections as there may be", extra={"most": self.bounds.connections}
            )

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        super().data_received(data)
        self._watch(asked=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._time("")
        self._stop_reading_timer()
        self.silent.pop(self, None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_reader()

    # What uvicorn calls

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch(asked=bool(self.conn.trailing_data[0]))
        self._watch_reader()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the error says more
        """Called where h11 raised an error, which knows what it was."""
        error = sys.exception()
        hint = getattr(error, "error_status_hint", 400)
        self._end(hint if hint in CODES else 400)

    # Time

    def _at_work(self) -> bool:
        """Whether a request is here whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self, *, asked: bool) -> None:
        """See what is waited for now.

        Args:
            asked: whether anything came that could be the beginning of a request, be it an empty
                line: without, uvicorn closes the connection after some seconds by itself.
        """
        if self._at_work() or self.transport.is_closing():
            self.silent.pop(self, None)
        else:
            self.silent.setdefault(self)
        if self.transport.is_closing():
            self._time("")
        elif self.conn.their_state is h11.SEND_BODY:
            self._time("body")
        elif self.conn.their_state is h11.IDLE and asked:
            self._time("head")
        else:
            self._time("")

    def _time(self, what: str) -> None:
        """Wait for `what` from now on, if that is not waited for already."""
        if what == self._for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._for, self._came = what, 0
        if what == "head":
            self._timer = self.loop.call_later(self.bounds.head_seconds, self._too_slow)
        elif what == "body":
            self._timer = self.loop.call_later(self.bounds.body_seconds, self._look_at_body)

    def _look_at_body(self) -> None:
        """Nobody is slow whom we keep waiting: by not reading, or by no `100 Continue` yet."""
        waits_for_us = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self._came < self.bounds.body_bytes and not waits_for_us:
            self._too_slow()
            return
        self._came = 0
        self._timer = self.loop.call_later(self.bounds.body_seconds, self._look_at_body)

    def _too_slow(self) -> None:
        if self._for == "head" and not self._came:
            self.transport.close()  # it was kept ready, and nothing was asked
        else:
            self._end(408)

    def _end(self, status: int) -> None:
        """Answer, unless an answer is on its way, and close."""
        self._time("")
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
        """Look, from now on, whether what lies ready is taken, while nothing is added to it."""
        self._stop_reading_timer()
        added_to = self._at_work() and not self.flow.write_paused
        if not added_to and self.transport.get_write_buffer_size():
            self._lay, self._lay_of = _untaken(self.transport), self.cycle
            self._slow_reader = self.loop.call_later(self.bounds.read_seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        """Let go of who took too little, unless that is all, or more of a further answer came."""
        taken = self._lay - _untaken(self.transport)
        same = self.cycle is self._lay_of and self.transport.get_write_buffer_size() > 0
        if same and taken < self.bounds.read_bytes:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_reading_timer(self) -> None:
        if self._slow_reader is not None:
            self._slow_reader.cancel()
            self._slow_reader = None


def _untaken(transport: asyncio.Transport) -> int:
    """Bytes that the other end has not received, here and, where it tells, in the kernel.

    Linux asks for more only once a third of what it keeps is sent, which may be megabytes: what
    lies here stays the same for long, however steadily they are taken (tcp(7), SIOCOUTQ).
    """
    kept = b""
    with suppress(OSError, ValueError):
        kept = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(kept, sys.byteorder)
