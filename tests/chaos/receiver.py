"""The server of a customer, which hears webhooks and takes its time to answer."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWERS_AFTER = 0.05
"""Seconds."""


@dataclass(frozen=True)
class ReceivedMessage:
    """One message as it came."""

    id: str
    type: str
    data: dict[str, Any]
    at: float = 0.0
    """By the monotonic clock."""


class Receiver:
    """Listens on a port of 127.0.0.1 and records every message in `messages`."""

    def __init__(self) -> None:
        self.messages: list[ReceivedMessage] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL to register."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died
                self.close_connection = True
                return
            message = json.loads(body)
            name, now = self.headers["webhook-id"], time.monotonic()
            receiver.messages.append(ReceivedMessage(name, message["type"], message["data"], now))
            time.sleep(ANSWERS_AFTER)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The messages themselves are kept."""

    return Handler
