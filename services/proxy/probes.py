"""Probes and metrics of the whole suite, from the answers of all its processes.

A name may have several addresses, such as two containers of a service, or a headless Service of
Kubernetes. Each address is a separate process, so all of them are asked.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from shared.metrics import CONTENT_TYPE
from shared.version import VERSION
from shared.web.app import problem
from shared.web.auth import count_address

PROBE_SECONDS = 5.0
PROBING = 100
"""Most connections for probes and metrics; a probe takes one for each process."""

_COUNTING = frozenset({"smallprint_processes", "smallprint_events_in_work"})
"""Gauges that are added up over processes."""


@dataclass(frozen=True)
class Asked:
    """One process and its answer."""

    address: str
    """The address as configured."""
    host: str
    """The resolved host; empty if it has none."""
    answer: httpx.Response | None

    @property
    def answered(self) -> httpx.Response | None:
        """The answer, unless it is an error."""
        return self.answer if self.answer is not None and self.answer.is_success else None

    def __str__(self) -> str:
        named = not self.host or httpx.URL(self.address).host == self.host
        return self.address if named else f"{self.address} at {self.host}"


class Probes:
    """Asks the processes at some addresses.

    Args:
        addresses: `http://name:port`, each for all processes with that name.
        client: the HTTP client.
    """

    def __init__(self, addresses: Sequence[str], client: httpx.AsyncClient) -> None:
        self.addresses = addresses
        self.client = client

    async def livez(self, _request: Request) -> Response:
        """Always OK: this process lives."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Ready if every process is; otherwise names those that are not."""
        missing = [str(one) for one in await self._ask("/readyz") if one.answered is None]
        if missing:
            return problem(503, "unavailable", f"not ready: {', '.join(missing)}")
        return JSONResponse({"status": "ok"})

    async def version(self, _request: Request) -> Response:
        """The version of the proxy, and of each process that answers."""
        services = [one.answered.json() for one in await self._ask("/version") if one.answered]
        return JSONResponse({"service": "origin", "version": VERSION, "services": services})

    async def metrics(self, request: Request) -> Response:
        """The metrics of the suite, added up over all processes, with the number of silent ones.

        Raises TooManyRequests.
        """
        count_address(request)
        processes = await self._ask("/metrics")
        text = add_up(one.answered.text for one in processes if one.answered)
        return PlainTextResponse(text + _silent(processes), media_type=CONTENT_TYPE)

    async def _ask(self, path: str) -> list[Asked]:
        """The answer of every process at every address."""
        answers = await asyncio.gather(*(self._ask_all(one, path) for one in self.addresses))
        return list(chain.from_iterable(answers))

    async def _ask_all(self, address: str, path: str) -> list[Asked]:
        async def one(url: httpx.URL) -> Asked:
            headers = {"host": httpx.URL(address).netloc.decode()}
            asked = url.copy_with(path=url.path.rstrip("/") + path)
            try:
                answer = await self.client.get(asked, headers=headers, timeout=PROBE_SECONDS)
            except httpx.TransportError:
                return Asked(address, url.host, None)
            return Asked(address, url.host, answer)

        try:
            urls = await _resolved(httpx.URL(address))
        except OSError:  # an unknown name, or no answer in time
            return [Asked(address, "", None)]
        return list(await asyncio.gather(*(one(url) for url in urls)))


async def _resolved(url: httpx.URL) -> list[httpx.URL]:
    """The URL with each address of its name, only IPv4 if there are both: they belong to the same
    process. With https the name stays, because the certificate needs it.

    Raises OSError if the name has no address in time.
    """
    if url.scheme != "http":
        return [url]
    asking = asyncio.get_running_loop().getaddrinfo(
        url.host, url.port or 80, type=socket.SOCK_STREAM
    )
    answers = await asyncio.wait_for(asking, PROBE_SECONDS)
    families = {family for family, *_ in answers}
    chosen = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    hosts = dict.fromkeys(str(at[0]) for family, *_, at in answers if family == chosen)
    return [url.copy_with(host=host) for host in hosts]


def _silent(processes: Iterable[Asked]) -> str:
    """A sample for each address with silent processes; an unknown name counts as one."""
    counts = Counter(one.address for one in processes if one.answered is None)
    if not counts:
        return ""
    name = "smallprint_silent_processes"
    lines = (
        f"# HELP {name} Processes that did not answer the origin.",
        f"# TYPE {name} gauge",
        *(f'{name}{{address="{address}"}} {count}' for address, count in counts.items()),
    )
    return "\n".join([*lines, ""])


_SAMPLE = re.compile(r"(smallprint_\w+(?:\{.*\})?) (\S+)(?: \d+)?")


def add_up(texts: Iterable[str]) -> str:
    """Merge Prometheus texts. Counters, histograms and gauges that count are added, other gauges
    take the maximum.

    Only families of the suite are kept; memory and threads are read from each process.
    """
    heads: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    samples: dict[str, dict[str, float]] = {}
    for text in texts:
        family = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                _, word, family, rest = line.split(" ", 3)
                lines = heads.setdefault(family, [])
                if line not in lines:
                    lines.append(line)
                if word == "TYPE":
                    kinds[family] = rest
            elif match := _SAMPLE.fullmatch(line):
                values = samples.setdefault(family, {})
                name, value = match[1], float(match[2])
                if name in values and kinds.get(family) == "gauge" and family not in _COUNTING:
                    values[name] = max(values[name], value)
                else:
                    values[name] = values.get(name, 0.0) + value
    merged = [
        line
        for family, values in samples.items()
        if not family.endswith("_created")
        for line in (*heads[family], *(f"{name} {value}" for name, value in values.items()))
    ]
    return "\n".join([*merged, ""])
