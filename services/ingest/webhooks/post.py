"""Sends one message: an HTTP POST and nothing else.

httpcore, the base of httpx, follows no redirects, reads no proxies from the environment and
decompresses nothing. The address is resolved, checked and connected to in one step, so DNS can't
change in between. The name goes into `Host` and the TLS handshake, which verifies the certificate
against it.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from services.ingest.webhooks.addresses import AddressNotAllowed, Policy, Target
from services.ingest.webhooks.domain import Answer
from shared.errors import SettingsError
from shared.web.outbound import Deadline, TimedNetwork, retry_after

EXCERPT = 1_000
"""Bytes of a response that are read and stored."""
BODY_SECONDS = 2.0
"""Seconds to read the body, after the status."""
ADDRESSES_TRIED = 4
_REASON = 300

Resolve = Callable[..., Any]
"""A function like `socket.getaddrinfo`."""


class Poster:
    """Sends messages to allowed addresses; threads may share it.

    Args:
        policy: which addresses may be called.
        seconds: from the start of an attempt to its status.
        connect_seconds: of them until there is a connection.
        tls: trusted certificates.
        proxy: `http://[user:password@]host:port` for all messages. It resolves names, so it must
            refuse addresses that are not public. Empty: none. Raises SettingsError for another
            form.
        resolve: replaces the system's resolver.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        seconds: float = 20.0,
        connect_seconds: float = 5.0,
        tls: ssl.SSLContext | None = None,
        proxy: str = "",
        resolve: Resolve | None = None,
    ) -> None:
        self.policy = policy
        self.seconds = seconds
        self.connect_seconds = connect_seconds
        self._proxy = _read_proxy(proxy)
        self._tls = tls or trust()
        self._resolve = resolve or socket.getaddrinfo

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once; errors are part of the result."""
        began = time.monotonic()
        try:
            status, answered, start = self._send(self.policy.target(url), headers, body)
        except _FAILURES as error:
            return Answer(time.monotonic() - began, error=_describe_failure(error))
        return Answer(
            seconds=time.monotonic() - began,
            status=status,
            error=_refusal(status),
            excerpt=_plain(start.decode("utf-8", "replace")),
            retry_after=retry_after(answered.get(b"retry-after", b"")),
        )

    def _send(
        self, target: Target, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        deadline = Deadline(self.seconds)
        seconds = {"connect": self.connect_seconds, "read": self.seconds, "write": self.seconds}
        sent = {
            **headers,
            "accept-encoding": "identity",
            "connection": "close",
            "content-length": str(len(body)),
        }
        with (
            self._pool(deadline) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=target.scheme, host=target.host, port=target.port, target=target.path
                ),
                headers=list({"host": target.authority, **sent}.items()),
                content=body,
                extensions={"timeout": seconds},
            ) as response,
        ):
            deadline.shorten(BODY_SECONDS)
            answered = {name.lower(): value for name, value in response.headers}
            return response.status, answered, _beginning(response.iter_stream())

    def _pool(self, deadline: Deadline) -> httpcore.ConnectionPool:
        """Return connections for one attempt, so that each is resolved and checked again."""
        if self._proxy is None:
            guarded = _Guarded(deadline, self.policy, self._resolve)
            return httpcore.ConnectionPool(self._tls, network_backend=guarded)
        url, login = self._proxy
        return httpcore.HTTPProxy(
            url, proxy_auth=login, ssl_context=self._tls, network_backend=TimedNetwork(deadline)
        )


def trust(certificates: Path | None = None) -> ssl.SSLContext:
    """Return the trusted certificates: the usual authorities and those in a PEM file.

    Raises OSError if the file can't be used.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if certificates is not None:
        context.load_verify_locations(certificates)
    return context


class _Guarded(TimedNetwork):
    """A network that connects only to addresses the policy allows."""

    def __init__(self, deadline: Deadline, policy: Policy, resolve: Resolve) -> None:
        super().__init__(deadline)
        self._policy = policy
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address that accepts."""
        until = Deadline(self._deadline.remaining(timeout))
        failure: Exception | None = None
        for address in self._allowed(host, port):
            try:
                return super().connect_tcp(
                    address, port, until.remaining(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or AddressNotAllowed("the host has no address")

    def _allowed(self, host: str, port: int) -> Iterator[str]:
        """Yield the allowed addresses. Raises AddressNotAllowed without any."""
        found = self._resolve(host, port, type=socket.SOCK_STREAM)
        tried, refusal = 0, None
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            try:
                self._policy.check(address)
            except AddressNotAllowed as error:
                refusal = error
                continue
            if tried < ADDRESSES_TRIED:
                tried += 1
                yield address
        if not tried and refusal:
            raise refusal


_FAILURES = (
    AddressNotAllowed,
    OSError,  # a name that does not resolve
    UnicodeError,  # an invalid name
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)


def _read_proxy(proxy: str) -> tuple[str, tuple[str, str] | None] | None:
    """Parse address and login of a proxy. Raises SettingsError, without the password."""
    if not proxy:
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("SMALLPRINT_INGEST_WEBHOOK_PROXY is not of the form http://host:port")
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", login if any(login) else None


def _describe_failure(error: Exception) -> str:
    """Return `code: sentence`, without details of our own network."""
    cause = error.__cause__ or error.__context__  # the pool hides the first
    if isinstance(error, AddressNotAllowed):
        return f"{error.code}: {error.message}"
    if isinstance(error, OSError | UnicodeError):
        return "name_not_found: the host name does not resolve"
    if isinstance(error, httpcore.TimeoutException):
        return "timeout: the receiver did not answer in time"
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "verify_message", "") or cause.reason or "the handshake failed"
        return f"tls_failed: {_plain(str(why))[:_REASON]}"
    if isinstance(error, httpcore.ConnectError):
        why = getattr(cause, "strerror", None) or "no connection"
        return f"connect_failed: {_plain(str(why))[:_REASON]}"
    if isinstance(error, httpcore.ProxyError):
        return f"proxy_failed: {_plain(str(error))[:_REASON]}"
    if isinstance(error, httpcore.NetworkError):
        return "connection_lost: the connection closed before an answer"
    return "not_http: the answer is not valid HTTP"


def _refusal(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return (
            f"redirect: the receiver answered {status}; redirects are not followed, so"
            " change the URL"
        )
    return f"status: the receiver answered {status}"


def _beginning(chunks: Iterable[bytes]) -> bytes:
    """Return the first bytes of a response, even if it breaks off or is slow."""
    found = b""
    with suppress(*_FAILURES):
        for chunk in chunks:
            found += chunk[: EXCERPT - len(found)]
            if len(found) >= EXCERPT:
                break
    return found


def _plain(text: str) -> str:
    """Remove characters that some databases and terminals refuse."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
