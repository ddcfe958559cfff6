"""A network that fails: a TCP proxy on loopback in front of one server.

It forwards everything until its connections are dropped, or each chunk is delayed. Each connection
has two threads; there are at most some hundreds.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

CHUNK = 65_536


class Proxy:
    """Listens on `port` and forwards connections to `server`, both on 127.0.0.1."""

    def __init__(self, port: int, server: int) -> None:
        self.server = server
        self.delay = 0.0
        """Seconds by which each chunk is delayed."""
        self.away = False
        """Whether connections are refused."""
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=500)
        threading.Thread(target=self._accept, name=f"proxy-{port}", daemon=True).start()

    def drop(self) -> int:
        """Close every connection, even in the middle of data. Returns their number."""
        with self._guard:
            dropped = list(self._open)
        for end in dropped:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(dropped) // 2

    def close(self) -> None:
        """Stop listening."""
        self.away = True
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            if self.away:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self.server), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            self._open |= {client, server}
        back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        back.start()
        self._pass(client, server)
        back.join()
        with self._guard:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
