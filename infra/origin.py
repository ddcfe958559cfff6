"""The one address in front of separate processes: a streaming reverse proxy.

`python -m infra.origin` routes by the ownership table in shared/web/origin.py, passes requests and
answers through as they come (uploads, downloads, server-sent events) and adds nothing. For the
probes it answers itself: ready when all are ready, metrics added up over all processes
(infra/probing.py). It is the one place in the suite that is asynchronous, because a proxy holds
many slow connections and does no work on them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx
import uvicorn
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from infra.probing import PROBING, Probes
from shared.logs import configure_logs
from shared.settings import CommonSettings, Port, load
from shared.tracing import Carried, carried, collected, entered
from shared.web.app import problem
from shared.web.connections import Bounds
from shared.web.origin import target
from shared.web.server import LEAVE_SECONDS, Server

HOP_BY_HOP = frozenset(
    b"connection expect keep-alive proxy-authenticate proxy-authorization proxy-connection te"
    b" trailer transfer-encoding upgrade".split()
)
SECONDS = httpx.Timeout(600.0, connect=5.0, pool=30.0)
"""A stream may be silent for ten minutes; a service that is there accepts within five seconds."""
IDLE = 2.0
"""Seconds until an unused connection is given up: before the service does it, after five."""
ENDING_SECONDS = 22
"""For which answers that are under way are waited for once the origin is to end: above what a
request may wait for a document (`services.ingest.watching.LONGEST_WAIT`)."""
LOOK_SECONDS = 0.2
"""Between two looks of an open stream of events whether the origin is to end."""


class OriginSettings(CommonSettings):
    """Where the origin listens and where the services are."""

    origin_port: Port = Field(8400, description="port that browsers and clients use")
    extraction_url: str = Field("http://127.0.0.1:8402", description="the extraction service")
    triage_url: str = Field("http://127.0.0.1:8403", description="the triage service")
    review_url: str = Field("http://127.0.0.1:8404", description="the review service")
    escalation_url: str = Field("http://127.0.0.1:8405", description="the escalation service")
    origin_probes: str = Field(
        "",
        description="addresses of workers and relays to probe and measure, comma-separated; of a "
        "name every address that it has",
    )

    def services(self) -> dict[str, str]:
        """The address of each service by its name."""
        return {
            "ingest": self.ingest_url,
            "extraction": self.extraction_url,
            "triage": self.triage_url,
            "review": self.review_url,
            "escalation": self.escalation_url,
        }

    def processes(self) -> list[str]:
        """The addresses of all processes that answer probes."""
        others = (address.strip() for address in self.origin_probes.split(","))
        return [*self.services().values(), *(address for address in others if address)]


class Proxy:
    """Passes one request on to the service that owns its path (an ASGI application).

    Args:
        leaving: is set once the origin is to end; streams of events, which whoever listens opens
            again by himself, end then.
    """

    def __init__(
        self,
        services: dict[str, str],
        transport: httpx.AsyncBaseTransport,
        leaving: threading.Event,
    ) -> None:
        self.services = services
        self.leaving = leaving
        self.transport = transport  # not a client: that would keep one user's cookies for the next

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the request in and the answer out; say so when the service does not answer."""
        if scope["type"] != "http":
            return
        service, path = target(scope["path"])
        incoming = Request(scope, receive)
        came = Carried.read(incoming.headers.get("traceparent"), incoming.headers.get("tracestate"))
        with entered("origin", f"proxy {service}", came, "server") as span:
            request = self._outgoing(incoming, service, path)
            request.headers.update(carried().headers)
            response: Response
            try:
                answer = await self._send(request)
                response = _passing(answer, self.leaving)
                span.set({"http.response.status_code": answer.status_code})
            except ClientDisconnect:
                return
            except httpx.TransportError as error:
                reason = type(error).__name__
                span.fail(reason)
                detail = f"the service {service} does not answer now ({reason}); try again"
                response = problem(503, "unavailable", detail, headers={"retry-after": "1"})
            await response(scope, receive, send)

    def _outgoing(self, incoming: Request, service: str, path: str) -> httpx.Request:
        raw: bytes = incoming.scope.get("raw_path") or path.encode()
        if path != incoming.scope["path"]:
            raw = path.encode()
        if query := incoming.scope["query_string"]:
            raw += b"?" + query
        headers = list(_end_to_end(incoming.headers.raw))
        names = {name for name, _ in incoming.headers.raw}
        has_body = b"content-length" in names or b"transfer-encoding" in names
        return httpx.Request(
            incoming.method,
            httpx.URL(self.services[service]).copy_with(raw_path=raw),
            headers=headers,
            content=incoming.stream() if has_body else None,
            extensions={"timeout": SECONDS.as_dict()},
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """A reading request is tried again when the connection turns out to have been closed."""
        try:
            return await self.transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method not in ("GET", "HEAD") or request.headers.get("content-length"):
                raise
            return await self.transport.handle_async_request(request)


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers meant for the other end, not for this connection."""
    headers = [(name.lower(), value) for name, value in headers]
    named = b",".join(value for name, value in headers if name == b"connection")
    dropped = HOP_BY_HOP | {name.strip().lower() for name in named.split(b",")}
    return [(name, value) for name, value in headers if name not in dropped]


def _passing(answer: httpx.Response, leaving: threading.Event) -> Response:
    async def body() -> AsyncIterator[bytes]:
        try:
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            chunks = aiter(answer.stream)
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                chunks = _until(leaving, chunks)
            async for chunk in chunks:
                yield chunk
        finally:
            await answer.aclose()

    response = StreamingResponse(body(), status_code=answer.status_code)
    kept = _end_to_end(answer.headers.raw)
    response.raw_headers = [(name, value) for name, value in kept if name != b"date"]
    return response


async def _until(leaving: threading.Event, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What comes until the origin is to end; it need not wait for more then."""

    async def following() -> bytes | None:
        return await anext(chunks, None)

    while True:
        coming = asyncio.ensure_future(following())
        try:
            while not coming.done() and not leaving.is_set():
                await asyncio.wait({coming}, timeout=LOOK_SECONDS)
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        if coming.cancelled() or (chunk := coming.result()) is None:
            return
        yield chunk


def create_app(settings: OriginSettings, leaving: threading.Event | None = None) -> Starlette:
    """The origin as an application, which is told by `leaving` that it is to end."""
    leaving = leaving or threading.Event()
    transport = httpx.AsyncHTTPTransport(
        retries=2,  # of connecting alone: nothing has been sent yet
        limits=httpx.Limits(
            max_connections=settings.http_connections,  # one for each of a client's
            keepalive_expiry=IDLE,
        ),
    )
    # Of their own: whoever fills the others does not make the suite look ill.
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            retries=2, limits=httpx.Limits(max_connections=PROBING, keepalive_expiry=IDLE)
        )
    )
    probes = Probes(settings.processes(), client)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with transport, client:
            yield

    return Starlette(
        routes=[
            Route("/livez", probes.livez),
            Route("/readyz", probes.readyz),
            Route("/version", probes.version),
            Route("/metrics", probes.metrics),
            Mount("/", Proxy(settings.services(), transport, leaving)),
        ],
        lifespan=lifespan,
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings, leaving = load(OriginSettings), threading.Event()
    configure_logs("origin", settings.log_level)
    with collected(settings.traces):
        config = uvicorn.Config(
            create_app(settings, leaving),
            host=settings.host,
            port=settings.origin_port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
        bounds = Bounds(connections=settings.http_connections)
        Server(config, leaving, leave=LEAVE_SECONDS, bounds=bounds).run()


if __name__ == "__main__":
    main()
