"""Requests to a provider over httpcore: JSON there and back, or lines of it, within a time and a
size.

It follows no redirects, reads no proxies from the environment, and keeps no connection, so that
whether a request left the house is known of every failure: until it is written, nothing is billed.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpcore
import httpx

from services.escalation.providers.base import (
    Lost,
    NotReached,
    NotThere,
    Overloaded,
    Refused,
    TooBusy,
    Unusable,
)
from shared.http import Deadline, TimedNetwork, retry_after

LARGEST = 1 << 20
"""Bytes of an answer: what is longer is no answer to a question of ours."""
BUSY, OVERLOADED = 429, (503, 529)
CONNECT_SECONDS = 10.0
Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class Posted:
    """What a provider answered with success."""

    headers: Mapping[str, str]
    """Names in lower case."""
    answer: Any
    """Its JSON."""


class Post:
    """Sends requests; threads may share one."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    def __call__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        seconds: float,
        method: Method = "POST",
    ) -> Posted:
        """Send once, and read the answer, in so many seconds together.

        Raises:
            NotReached: no connection, so that nothing was sent.
            TooBusy, Refused: the provider said no.
            Lost: it broke off, took too long, or failed while it worked.
            Unusable: it answered with something that is no JSON, or too long.
        """
        with self._answering(name, method, url, headers, body, seconds) as response:
            answered, data = _named(response.headers), _read(response)
        if data is None:
            raise Unusable(f"{name} answered with more than {LARGEST} bytes")
        try:
            return Posted(answered, json.loads(data))
        except ValueError:
            raise Unusable(f"{name} answered with something that is no JSON") from None
        except RecursionError:
            raise Unusable(f"{name} answered with JSON that is nested too deep") from None

    def lines(
        self, name: str, url: str, headers: Mapping[str, str], seconds: float
    ) -> Iterator[Posted]:
        """Fetch JSON lines as they come: the answer of each is its JSON, or None where it is none
        or longer than `LARGEST`. Raises as a call does, at any line.
        """
        with self._answering(name, "GET", url, headers, b"", seconds) as response:
            answered = _named(response.headers)
            for line in _split(response.iter_stream()):
                if line is None or line.strip():
                    yield Posted(answered, _json_or_none(line))

    @contextmanager
    def _answering(
        self,
        name: str,
        method: Method,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        seconds: float,
    ) -> Iterator[httpcore.Response]:
        """An answer of success that is being read. Raises as a call does."""
        sent = {
            "host": urlsplit(url).netloc,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept-encoding": "identity",
            "connection": "close",
            **headers,
        }
        timeout = {
            "connect": min(seconds, CONNECT_SECONDS),
            "read": seconds,
            "write": seconds,
            "pool": seconds,
        }
        try:
            with (
                httpcore.ConnectionPool(
                    self._tls, network_backend=TimedNetwork(Deadline(seconds))
                ) as pool,
                pool.stream(
                    method,
                    url,
                    headers=list(sent.items()),
                    content=body,
                    extensions={"timeout": timeout},
                ) as response,
            ):
                if not 200 <= response.status < 300:
                    again = _named(response.headers).get("retry-after", "")
                    raise _failure(name, response.status, again)
                yield response
        except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError, UnicodeError):
            raise NotReached(
                f"{name} can't be reached: is its address right, and is there a network?"
            ) from None
        except httpcore.TimeoutException:
            raise Lost(f"{name} did not answer in {seconds:.0f} seconds") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Lost(f"{name} broke off before its answer was there") from None


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _read(response: httpcore.Response) -> bytes | None:
    """The whole of an answer; None if it is too long."""
    data = b""
    for chunk in response.iter_stream():
        data += chunk
        if len(data) > LARGEST:
            return None
    return data


def _split(chunks: Iterator[bytes]) -> Iterator[bytes | None]:
    """Lines of a stream; None for one that is too long."""
    rest, too_long = b"", False
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield None if too_long or len(line) > LARGEST else line
            too_long = False
        if len(rest) > LARGEST:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest


def _json_or_none(line: bytes | None) -> Any:
    try:
        return None if line is None else json.loads(line)
    except (ValueError, RecursionError):
        return None


def _failure(name: str, status: int, again: str) -> Refused | Lost:
    """What a status says. The provider's own words are left out: they may quote what was sent."""
    wait = retry_after(again.encode("latin-1"))
    if status == BUSY:
        return TooBusy(f"{name} is busy ({status})", wait=wait)
    if status in OVERLOADED:
        return Overloaded(f"{name} is busy ({status})", wait=wait)
    if status in (401, 403):
        return Refused(f"{name} does not take the key ({status}): is it right, and still valid?")
    if status == 404:
        return NotThere(f"{name} knows no such model or address (404)")
    if status < 500:
        return Refused(f"{name} refused the request ({status})")
    return Lost(f"{name} failed while it worked ({status})", wait=wait)
