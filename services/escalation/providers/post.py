"""One POST to a provider over httpcore: JSON there, JSON back, within a time and a size.

It follows no redirects, reads no proxies from the environment, and keeps no connection, so that
whether a request left the house is known of every failure: until it is written, nothing is billed.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from services.escalation.providers.base import Lost, NotReached, Refused, TooBusy, Unusable
from shared.http import Deadline, TimedNetwork, retry_after

LARGEST = 1 << 20
"""Bytes of an answer: what is longer is no answer to a question of ours."""
BUSY = (429, 503, 529)
CONNECT_SECONDS = 10.0


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
        self, name: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Posted:
        """Send once, and read the answer, in so many seconds together.

        Raises:
            NotReached: no connection, so that nothing was sent.
            TooBusy, Refused: the provider said no.
            Lost: it broke off, took too long, or failed while it worked.
            Unusable: it answered with something that is no JSON, or too long.
        """
        sent = {
            "host": urlsplit(url).netloc,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept-encoding": "identity",
            "connection": "close",
            **headers,
        }
        try:
            status, answered, data = self._send(url, sent, body, seconds)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError, UnicodeError):
            raise NotReached(
                f"{name} can't be reached: is its address right, and is there a network?"
            ) from None
        except httpcore.TimeoutException:
            raise Lost(f"{name} did not answer in {seconds:.0f} seconds") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Lost(f"{name} broke off before its answer was there") from None
        if not 200 <= status < 300:
            raise _failure(name, status, answered.get("retry-after", ""))
        if data is None:
            raise Unusable(f"{name} answered with more than {LARGEST} bytes")
        try:
            return Posted(answered, json.loads(data))
        except ValueError:
            raise Unusable(f"{name} answered with something that is no JSON") from None
        except RecursionError:
            raise Unusable(f"{name} answered with JSON that is nested too deep") from None

    def _send(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> tuple[int, dict[str, str], bytes | None]:
        deadline = Deadline(seconds)
        timeout = {
            "connect": min(seconds, CONNECT_SECONDS),
            "read": seconds,
            "write": seconds,
            "pool": seconds,
        }
        network = TimedNetwork(deadline)
        with (
            httpcore.ConnectionPool(self._tls, network_backend=network) as pool,
            pool.stream(
                "POST",
                url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": timeout},
            ) as response,
        ):
            answered = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            data = b""
            for chunk in response.iter_stream():
                data += chunk
                if len(data) > LARGEST:
                    return response.status, answered, None
            return response.status, answered, data


def _failure(name: str, status: int, again: str) -> Refused | Lost:
    """What a status says. The provider's own words are left out: they may quote what was sent."""
    wait = retry_after(again.encode("latin-1"))
    if status in BUSY:
        return TooBusy(f"{name} is busy ({status})", wait=wait)
    if status in (401, 403):
        return Refused(f"{name} does not take the key ({status}): is it right, and still valid?")
    if status == 404:
        return Refused(f"{name} knows no such model or address (404)")
    if status < 500:
        return Refused(f"{name} refused the request ({status})")
    return Lost(f"{name} failed while it worked ({status})", wait=wait)
