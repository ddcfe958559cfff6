"""A customer's server on this machine: takes webhooks, and answers as a test wants.

`with Receiver() as receiver: … receiver.url("/hook") … receiver.requests`
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Answering = Callable[[Request], Reply]


class Receiver:
    """A real HTTP server in threads of this process; with `tls`, over HTTPS.

    `answer` may be changed at any time; `requests` are in the order of their arrival.
    """

    def __init__(
        self,
        answer: Answering = lambda _request: Reply(),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.server_names: list[str | None] = []
        """Server names in TLS handshakes."""
        self._lock = threading.Lock()
        self._server = _Server((host, port), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
            self._server.tls = tls
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """An address of it."""
        return f"{self._scheme}://{host}:{self.port}{path}"

    def ids(self, path: str | None = None) -> list[str]:
        """The received message ids, with repetitions."""
        return [r.id for r in list(self.requests) if path is None or r.path == path]

    def take(self, request: Request) -> Reply:
        """Remember a request, and say what is answered."""
        with self._lock:
            self.requests.append(request)
        return self.answer(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the thread of the connection, so that a hanging one blocks no
        other.
        """
        if self.tls:
            with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up is what some tests are about."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died: nobody reads this answer
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.take(Request(self.path, headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Tests look at the requests themselves."""

    return Handler
