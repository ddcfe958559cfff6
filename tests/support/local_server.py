"""An HTTP server in threads of this process; a test or program chooses its answers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """A received request."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Answering = Callable[[Request], Reply]


class LocalServer:
    """Listens during a `with` block. Subclasses answer in `reply`."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server((host, port), _handler(self))
        self._server.tls = tls
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    def reply(self, request: Request) -> Reply | None:
        """Answer a request; None closes the connection."""
        raise NotImplementedError


class Receiver(LocalServer):
    """A customer's server that receives webhooks, over HTTPS with `tls`.

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
        super().__init__(host=host, port=port, tls=tls)
        self.answer = answer
        self.requests: list[Request] = []
        self.server_names: list[str | None] = []
        """Server names in TLS handshakes."""
        self._scheme = "https" if tls else "http"
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"{self._scheme}://{host}:{self.port}{path}"

    def ids(self, path: str | None = None) -> list[str]:
        """The ids of the received messages, with repetitions."""
        requests = list(self.requests)
        return [r.headers["webhook-id"] for r in requests if path is None or r.path == path]

    def reply(self, request: Request) -> Reply:
        """Record a request, and answer it."""
        self.requests.append(request)
        return self.answer(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's thread, so that a slow one blocks no other."""
        if self.tls:
            with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors, since some tests kill senders or close connections."""


def _handler(server: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            dead = len(body) < length  # the sender died, so no answer is needed
            reply = None if dead else server.reply(Request(self.path, headers, body))
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST  # noqa: N815 - the name that the library looks for

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return Handler
