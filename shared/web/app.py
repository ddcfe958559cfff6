"""The application that every service starts from: probes, version, metrics, problems, traces, safe
headers.
"""

from __future__ import annotations

import contextlib
import http
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import metrics
from shared.errors import SuiteError
from shared.logs import current_trace
from shared.tenancy import work_of
from shared.tracing import DOCUMENT, TENANT, Carried, Span, entered, is_on, passed
from shared.version import VERSION
from shared.web.auth import QUOTA, TENANT_OF, Keys
from shared.web.limits import Quota, RateLimit
from shared.web.openapi import describe
from shared.web.threads import OwnThreads

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked so often that nobody wants a line or a span of it."""
PROBING = 4
"""Threads that answer nothing but one of the probes: where a database hangs, so does `/readyz`, and
the process is alive all the same."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OF_A_DOCUMENT = "/v1/documents/{id}"
MAX_BODY = 1 << 20
"""Bytes of a request's body, but for uploads."""
UPLOADS = re.compile(r"POST /v1/documents|PATCH /v1/uploads/[^/]+")
"""Requests that bound their bodies themselves."""
Check = Callable[[], None]


def create_app(
    name: str,
    routers: Sequence[APIRouter],
    checks: Sequence[Check],
    keys: Keys | None,
    limit: RateLimit | None = None,
    **state: Any,
) -> FastAPI:
    """One service's application.

    Args:
        name: the service.
        routers: its routes.
        checks: each raises SuiteError while the service is not ready.
        keys: who may come in; None for an application without such routes.
        limit: how often; None for as often as they like.
        state: what routes find in `request.app.state`.
    """
    app = FastAPI(title=f"smallprint {name}", version=VERSION, docs_url=None, redoc_url=None)
    app.state.keys = keys
    app.state.checks = tuple(checks)
    app.state.alive = ()
    app.state.limit = limit or RateLimit(0)
    for key, value in state.items():
        setattr(app.state, key, value)
    for router in (_probes(name), *routers):
        app.include_router(router)
    app.add_exception_handler(SuiteError, _suite_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Bounded)
    app.add_middleware(Edge, name=name)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app


def health_app(name: str, checks: Sequence[Check], alive: Sequence[Check] = ()) -> FastAPI:
    """Probes, version and metrics alone, for a process without routes.

    Args:
        alive: each raises SuiteError once only a new start of the process helps.
    """
    app = create_app(name, [], checks, None)
    app.state.alive = tuple(alive)
    return app


def _probes(name: str) -> APIRouter:
    router = APIRouter(tags=["operation"])
    living, ready, measuring = OwnThreads(PROBING), OwnThreads(PROBING), OwnThreads(PROBING)

    def all_good(checks: Sequence[Check]) -> None:
        for check in checks:
            check()

    @router.get(
        "/livez",
        summary="Is the process alive?",
        responses={503: {"description": "start it again"}},
    )
    async def livez(request: Request) -> dict[str, str]:
        await living.run(partial(all_good, request.app.state.alive))
        return {"status": "ok"}

    @router.get("/readyz", summary="Can it work?", responses={503: {"description": "not now"}})
    async def readyz(request: Request) -> dict[str, str]:
        await ready.run(partial(all_good, request.app.state.checks))
        return {"status": "ok"}

    @router.get("/version", summary="Which version is this?")
    def version() -> dict[str, str]:
        return {"service": name, "version": VERSION}

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def measured() -> Response:
        return Response(await measuring.run(metrics.exposition), media_type=metrics.CONTENT_TYPE)

    return router


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    document: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An error as RFC 9457 has it: type, title, status, detail, and our document and trace."""
    body: dict[str, object] = {
        "type": f"urn:smallprint:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
    }
    if document:
        body["document"] = document
    if trace := current_trace():
        body["trace"] = trace
    return JSONResponse(body, status_code=status, media_type=PROBLEM, headers=headers)


def _suite_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SuiteError)
    headers = {"retry-after": "5"} if error.retryable else {}
    headers |= error.headers
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.http_status >= 500:
        log.error("request failed", extra={"code": error.code, "reason": error.message})
    return problem(
        error.http_status, error.code, error.message, document=error.document, headers=headers
    )


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    parts = [_wrong(one, request.headers.get("content-type", "")) for one in error.errors()]
    return problem(422, "invalid_request", "; ".join(parts))


def _wrong(one: Mapping[str, Any], content_type: str) -> str:
    """What is wrong with one part of a request.

    Args:
        one: an error as pydantic tells it; where JSON breaks is counted from 0, as Python does.
        content_type: of the request; a body of another type than JSON is not read as JSON.
    """
    where = one["loc"]
    if one["type"] == "json_invalid":
        return f"the body is no JSON (at character {where[-1]})"
    said = f"{'.'.join(map(str, where))}: {one['msg']}"
    unread = where == ("body",) and one["type"] != "missing" and "json" not in content_type.lower()
    return f"{said}: send Content-Type: application/json" if unread else said


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(error.status_code, code, str(error.detail), headers=headers)


def _methods(request: Request) -> list[str]:
    """All that a path takes. Starlette itself names those of the first route of the path."""
    fitting: dict[str, set[str]] = {}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            fitting.setdefault(route.path, set()).update(route.methods or ())
    plainest = min(fitting, key=lambda path: path.count("{"), default="")
    return sorted(fitting.get(plainest, ()))


class Bounded:
    """Refuses request bodies of more than MAX_BODY bytes, which would be read before the key is
    checked. Uploads have a guard of their own, for they are long and are not read at once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the length that is announced, and by what really comes."""
        if scope["type"] != "http" or UPLOADS.fullmatch(f"{scope['method']} {scope['path']}"):
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced[:20]) > MAX_BODY:
            await _body_too_large()(scope, receive, send)
            return
        await self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen, started = 0, False

        async def receive_bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                raise _BodyTooLarge
            return message

        async def send_unless_too_large(message: Message) -> None:
            nonlocal started
            if seen > MAX_BODY and not started:
                return  # whatever the application made of the error
            started = True
            await send(message)

        with contextlib.suppress(_BodyTooLarge):
            await self.app(scope, receive_bounded, send_unless_too_large)
        if seen > MAX_BODY and not started:
            await _body_too_large()(scope, receive, send)


class _BodyTooLarge(Exception):
    """More came than was announced."""


def _body_too_large() -> JSONResponse:
    detail = f"the body of this request may have {MAX_BODY} bytes"
    return problem(413, "request_too_large", detail, headers={"connection": "close"})


class Edge:
    """Around every request: a trace, safe headers, one log line, and an answer even to a bug; and
    one tenant, once it is known whose it is.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI, so that streams pass through untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        probe = scope["path"] in PROBES
        came = _carried(scope) if is_on() and not probe else _carried(scope).or_new()
        began, status = time.monotonic(), 0
        scope["state"] = {**scope.get("state", {})}

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for key, value in SAFE_HEADERS.items():
                    headers.setdefault(key, value)
                headers.setdefault("cache-control", "no-store")
                quota = scope["state"].get(QUOTA)
                for key, value in quota.headers().items() if isinstance(quota, Quota) else ():
                    headers.setdefault(key, value)
            await send(message)

        making = entered if not probe else passed
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        asked = {"http.request.method": method}
        with work_of(), making(self.name, method, came, "server", asked) as span:
            try:
                await self.app(scope, receive, send_safely)
            except Exception:
                log.exception("a request met a bug", extra={"path": scope["path"]})
                if status:
                    raise
                detail = "something went wrong on our side; the log has the trace"
                await problem(500, "internal", detail)(scope, receive, send_safely)
            finally:
                _tell(span, scope, status)
            if not probe:
                about = _about(scope)
                extra = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "seconds": round(time.monotonic() - began, 4),
                    **{name: value for name, value in about.items() if value},
                }
                log.info("request", extra=extra)


def _carried(scope: Scope) -> Carried:
    headers = dict(scope["headers"])
    parent, state = (
        headers.get(name, b"").decode("latin-1") for name in (b"traceparent", b"tracestate")
    )
    return Carried.read(parent, state)


def _about(scope: Scope) -> dict[str, str | None]:
    """Which document of which tenant a request was about, once it was answered."""
    route = getattr(scope.get("route"), "path", "")
    named = scope.get("path_params", {}).get("id") if route.startswith(_OF_A_DOCUMENT) else None
    return {"document": named, "tenant": scope["state"].get(TENANT_OF)}


def _tell(span: Span, scope: Scope, status: int) -> None:
    """Name a request by its route, never by its path: that is what somebody typed."""
    route, about = getattr(scope.get("route"), "path", None), _about(scope)
    if route:
        span.rename(f"{scope['method']} {route}")
    span.set(
        {
            "http.route": route,
            "http.response.status_code": status,
            DOCUMENT: about["document"] if status < 400 else None,
            TENANT: about["tenant"],
        }
    )
    if status >= 500:
        span.fail(str(status))
