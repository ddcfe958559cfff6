"""A streaming reverse proxy: one address in front of separate processes.

`python -m services.proxy` routes by the table in shared/web/routing_table.py, and streams requests
and answers unchanged (uploads, downloads, server-sent events). It answers probes itself: ready if
all processes are, metrics added up over all (services/proxy/probes.py). `/openapi.json` describes
all services. It is the only asynchronous part of the suite, because it holds many slow connections
and does no work on them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from services.proxy.probes import PROBING, Probes
from services.proxy.settings import OriginSettings
from shared.errors import SuiteError
from shared.tracing import Carried, carried, entered
from shared.web.admission import RateLimit
from shared.web.app import problem, suite_error
from shared.web.hosts import HostCheck
from shared.web.routing_table import target
from shared.web.suite_openapi import merge

HOP_BY_HOP = frozenset(
    b"connection expect keep-alive proxy-authenticate proxy-authorization proxy-connection te"
    b" trailer transfer-encoding upgrade".split()
)
FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"})
"""Headers that the services take only from this proxy."""
SECONDS = httpx.Timeout(600.0, connect=5.0, pool=30.0)
"""A stream may be silent for ten minutes; a running service accepts within five seconds."""
IDLE = 2.0
"""Seconds until an unused connection is closed; the service closes it after five."""
ENDING_SECONDS = 22
"""Seconds to wait for answers in progress at the end, more than a request may wait for a document
(`services.ingest.progress_stream.LONGEST_WAIT`).
"""
LOOK_SECONDS = 0.2
"""Seconds between two checks of an open event stream for the end."""


class Proxy:
    """Passes a request to the service that owns its path (an ASGI application).

    Args:
        leaving: is set at the end. Event streams end then, and their clients open them again.
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
        """Stream the request and the answer, or a problem if the service does not answer."""
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
        headers = [
            *(one for one in _end_to_end(incoming.headers.raw) if one[0] not in FORWARDED),
            (b"x-forwarded-proto", incoming.scope["scheme"].encode()),
        ]
        if incoming.client:
            headers.append((b"x-forwarded-for", incoming.client.host.encode("latin-1")))
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
        """Send a request. A reading one is tried again if the connection was closed."""
        try:
            return await self.transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method not in ("GET", "HEAD") or request.headers.get("content-length"):
                raise
            return await self.transport.handle_async_request(request)


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The end-to-end headers, without those of this connection."""
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
    headers = _end_to_end(answer.headers.raw)
    response.raw_headers = [(name, value) for name, value in headers if name != b"date"]
    return response


async def _until(leaving: threading.Event, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts of a stream until `leaving` is set."""

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
    """The proxy as an application; `leaving` tells it to end."""
    leaving = leaving or threading.Event()
    transport = httpx.AsyncHTTPTransport(
        retries=2,  # retries connecting only, before anything is sent
        limits=httpx.Limits(
            max_connections=settings.http_connections,  # one for each of a client's
            keepalive_expiry=IDLE,
        ),
    )
    # Separate from the pool of requests, so that slow requests do not fail the probes.
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            retries=2, limits=httpx.Limits(max_connections=PROBING, keepalive_expiry=IDLE)
        )
    )
    probes = Probes(settings.processes(), client)

    async def openapi(_request: Request) -> Response:
        services = settings.services()
        try:
            answers = await asyncio.gather(
                *(client.get(f"{url}/openapi.json") for url in services.values())
            )
        except httpx.TransportError:
            return problem(503, "unavailable", "a service does not answer now; try again")
        documents = [answer.raise_for_status().json() for answer in answers]
        return JSONResponse(merge(dict(zip(services, documents, strict=True))))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with transport, client:
            yield

    app = Starlette(
        routes=[
            Route("/livez", probes.livez),
            Route("/readyz", probes.readyz),
            Route("/version", probes.version),
            Route("/metrics", probes.metrics),
            Route("/openapi.json", openapi),
            Mount("/", Proxy(settings.services(), transport, leaving)),
        ],
        lifespan=lifespan,
        exception_handlers={SuiteError: suite_error},
    )
    app.state.limit = RateLimit(settings.rate_requests)
    app.add_middleware(HostCheck, settings=settings)
    return app
