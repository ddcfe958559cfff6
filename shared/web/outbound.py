"""Deadlines and `Retry-After` for our requests to other servers.

httpx limits the time of each step only, so a slow server could hold a request without end.
httpcore, its base, lets us replace the network.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore


class Deadline:
    """The time by which an attempt must end."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        """Allow at most this much time from now on."""
        self._until = min(self._until, time.monotonic() + seconds)

    def remaining(self, limit: float | None) -> float:
        """Return the seconds of the next step, at most `limit`. Raises ReadTimeout at the end."""
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return seconds if limit is None else min(limit, seconds)


class TimedNetwork(httpcore.NetworkBackend):
    """The plain network with a deadline over all steps."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._plain.connect_tcp(
            host, port, self._deadline.remaining(timeout), local_address, socket_options
        )
        return TimedStream(stream, self._deadline)


class TimedStream(httpcore.NetworkStream):
    """A connection with a deadline over all steps."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.remaining(timeout)
        )
        return TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def retry_after(value: bytes) -> float | None:
    """Parse `Retry-After` to seconds, from a number or a date (RFC 9110, 10.2.3); None for
    others.
    """
    text = value.decode("latin-1").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
