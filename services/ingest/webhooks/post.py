"""Sends one message: an HTTP POST that can be made to do nothing else.

Over httpcore, which is what httpx stands on: it follows no redirects, reads no proxies from the
environment and decompresses nothing. The address is resolved, judged and connected
to in one step, so there is no moment at which a name could change its meaning; the name itself goes
into `Host` and into the TLS handshake, whose certificate is verified against it.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from services.ingest.webhooks.addresses import AddressNotAllowed, Policy, Target
from services.ingest.webhooks.domain import Answer
from shared.errors import SettingsError
from shared.http import Deadline, TimedNetwork, retry_after

EXCERPT = 1_000
"""Bytes of an answer that are read and kept."""
BODY_SECONDS = 2.0
"""Seconds for reading them, once the status is known."""
ADDRESSES_TRIED = 4
_REASON = 300

Resolve = Callable[..., Any]
"""As `socket.getaddrinfo`."""


class Poster:
    """Sends messages to whatever the policy allows. Threads may share one.

    Args:
        policy: which addresses may be called.
        seconds: that one attempt may take from its beginning to its status.
        connect_seconds: of them until there is a connection.
        tls: whose certificates are trusted.
        proxy: `http://[user:password@]host:port` that all messages go through; it alone resolves
            names then, and has to refuse what is not public. Empty: none, whatever the environment
            says. Raises SettingsError if it is of another form.
        resolve: what resolves names; the system by default.
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
        """Send once. Whatever goes wrong is in the answer."""
        began = time.monotonic()
        try:
            status, answered, start = self._send(self.policy.target(url), headers, body)
        except _FAILURES as error:
            return Answer(time.monotonic() - began, error=_what_failed(error))
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
        """Connections for one attempt alone: each is resolved and judged anew."""
        if self._proxy is None:
            guarded = _Guarded(deadline, self.policy, self._resolve)
            return httpcore.ConnectionPool(self._tls, network_backend=guarded)
        url, login = self._proxy
        return httpcore.HTTPProxy(
            url, proxy_auth=login, ssl_context=self._tls, network_backend=TimedNetwork(deadline)
        )


def trust(certificates: Path | None = None) -> ssl.SSLContext:
    """Whose certificates are trusted: the usual authorities, and those in a PEM file.

    Raises OSError if the file can't be used.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if certificates is not None:
        context.load_verify_locations(certificates)
    return context


class _Guarded(TimedNetwork):
    """The same, to addresses that the policy allows alone."""

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
        """Connect to the first allowed address of a host that answers."""
        until = Deadline(self._deadline.left(timeout))
        failure: Exception | None = None
        for address in self._allowed(host, port):
            try:
                return super().connect_tcp(
                    address, port, until.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or AddressNotAllowed("the host has no address")

    def _allowed(self, host: str, port: int) -> Iterator[str]:
        """The addresses that may be connected to. Raises AddressNotAllowed if there is none."""
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
    UnicodeError,  # a name that can't be one
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)


def _read_proxy(proxy: str) -> tuple[str, tuple[str, str] | None] | None:
    """Address and login of a proxy. Raises SettingsError, which does not show the password."""
    if not proxy:
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("SMALLPRINT_INGEST_WEBHOOK_PROXY is not of the form http://host:port")
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", login if any(login) else None


def _what_failed(error: Exception) -> str:
    """`code: sentence`, without what our own network looks like."""
    cause = error.__cause__ or error.__context__  # the pool takes the first away
    if isinstance(error, AddressNotAllowed):
        return f"{error.code}: {error.message}"
    if isinstance(error, OSError | UnicodeError):
        return "name_not_found: the name of the host does not resolve to an address"
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
        return "connection_lost: the connection broke off before there was an answer"
    return "not_http: the receiver did not answer as HTTP has it"


def _refusal(status: int) -> str | None:
    """What a status says against the message, or None if the receiver took it."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return (
            f"redirect: the receiver answered {status}; redirects are not followed, change the URL"
        )
    return f"status: the receiver answered {status}"


def _beginning(chunks: Iterable[bytes]) -> bytes:
    """The first bytes of an answer; one that breaks off or dawdles ends where it is."""
    found = b""
    with _forgiving():
        for chunk in chunks:
            found += chunk[: EXCERPT - len(found)]
            if len(found) >= EXCERPT:
                break
    return found


@contextmanager
def _forgiving() -> Iterator[None]:
    try:
        yield
    except _FAILURES:
        return


def _plain(text: str) -> str:
    """Text that every database and terminal takes."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
