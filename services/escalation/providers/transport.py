"""JSON requests to a provider over httpcore, with limits on time and size.

It follows no redirects, ignores proxy variables and reuses no connections. So every failure shows
whether the request was sent, and so whether the provider may bill it.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from services.escalation.providers.base import InvalidResponse, Lost, NotReached, Refused, TooBusy
from shared.web.outbound import Deadline, TimedNetwork, retry_after

LARGEST = 1 << 20  # bytes of a response at most
BUSY = (429, 503, 529)
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Posted:
    """A successful response."""

    headers: Mapping[str, str]  # names in lower case
    answer: Any  # its JSON


class Post:
    """Sends requests. Safe from several threads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    def __call__(
        self, name: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Posted:
        """Send a request once and read the response, within `seconds` in total.

        Raises:
            NotReached: there was no connection.
            TooBusy, Refused: the provider refused.
            Lost: the connection broke, timed out, or the provider failed.
            InvalidResponse: the response is no JSON or too long.
        """
        with self._answering(name, url, headers, body, seconds) as response:
            answered, data = _named(response.headers), _read(response)
        if data is None:
            raise InvalidResponse(f"{name} answered with more than {LARGEST} bytes")
        try:
            return Posted(answered, json.loads(data))
        except ValueError:
            raise InvalidResponse(f"{name} answered with something other than JSON") from None
        except RecursionError:
            raise InvalidResponse(f"{name} answered with JSON that is nested too deep") from None

    @contextmanager
    def _answering(
        self, name: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Iterator[httpcore.Response]:
        """A successful response while it is read."""
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
                    "POST",
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
                f"{name} can't be reached: check its address and the network"
            ) from None
        except httpcore.TimeoutException:
            raise Lost(f"{name} did not answer in {seconds:.0f} seconds") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Lost(f"{name} closed the connection before its answer was complete") from None


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _read(response: httpcore.Response) -> bytes | None:
    """The whole body; None if it is too long."""
    data = b""
    for chunk in response.iter_stream():
        data += chunk
        if len(data) > LARGEST:
            return None
    return data


def _failure(name: str, status: int, again: str) -> Refused | Lost:
    """The error of a status, without the provider's text, which may quote the request."""
    wait = retry_after(again.encode("latin-1"))
    if status in BUSY:
        return TooBusy(f"{name} is busy ({status})", wait=wait)
    if status in (401, 403):
        return Refused(f"{name} rejects the key ({status}): check that it is right and still valid")
    if status == 404:
        return Refused(f"{name} does not know this model or address (404)")
    if status < 500:
        return Refused(f"{name} refused the request ({status})")
    return Lost(f"{name} failed while it worked ({status})", wait=wait)
