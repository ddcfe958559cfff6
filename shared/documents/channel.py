"""Messages between a reader and its child: a head in JSON and a body of bytes, by a socket."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

MAX_MESSAGE = 10_000
"""Most characters of an error message."""
UNPACKED_AT_ONCE = 16_000_000
"""Bytes of parts in one reply; the last part may exceed it."""

_AT_ONCE = 1 << 20


def send(
    channel: socket.socket, head: dict[str, Any], body: bytes = b"", deadline: float | None = None
) -> None:
    """Send one message. Raises TimeoutError after the deadline, OSError if the other side ended."""
    header = json.dumps(head).encode()
    sizes = len(header).to_bytes(4, "little") + len(body).to_bytes(8, "little")
    channel.settimeout(_seconds_left(deadline))
    channel.sendall(sizes + header)
    channel.sendall(body)


def receive(
    channel: socket.socket, deadline: float | None = None, most: tuple[int, int] | None = None
) -> tuple[bytes, bytes]:
    """Return the head, as JSON, and the body of one message.

    Raises ValueError if one of them has more than `most` bytes, EOFError if the other side ended,
    and TimeoutError. Memory is used as bytes arrive, not as they are announced.
    """
    sizes = _exactly(channel, 12, deadline)
    header, body = int.from_bytes(sizes[:4], "little"), int.from_bytes(sizes[4:], "little")
    if most and (header > most[0] or body > most[1]):
        raise ValueError(f"a message of {header:,} and {body:,} bytes: the limits are {most}")
    return _exactly(channel, header, deadline), _exactly(channel, body, deadline)


def _exactly(channel: socket.socket, length: int, deadline: float | None) -> bytes:
    buffer = bytearray()
    while len(buffer) < length:
        channel.settimeout(_seconds_left(deadline))
        received = channel.recv(min(_AT_ONCE, length - len(buffer)))
        if not received:
            raise EOFError("the other side has gone")
        buffer += received
    return bytes(buffer)


def _seconds_left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
