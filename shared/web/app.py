"""The application of every service: probes, version, metrics, problems, traces, safe headers."""

from __future__ import annotations

import contextlib
import http
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import metrics
from shared.errors import InvalidRequest, SuiteError
from shared.logs import current_trace
from shared.storage import Store
from shared.tenancy import work_of
from shared.tracing import DOCUMENT, TENANT, Carried, Span, entered, is_on
from shared.version import VERSION
from shared.web.admission import Quota, RateLimit, ThreadBudget
from shared.web.audit import AuditMiddleware
from shared.web.auth import ACTOR_KEY, QUOTA_KEY, Actor, Keys, count_address
from shared.web.openapi import describe, problem_body

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
"""Paths requested so often that they get no log line and no span."""
PROBE_THREADS = 4
"""Threads for each probe alone: `/readyz` may hang with a database while `/livez` answers."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OF_A_DOCUMENT = "/v1/documents/{id}"
MAX_BODY = 1 << 20
"""Bytes of a request body, except uploads."""
UPLOADS = re.compile(r"POST /v1/documents|PATCH /v1/uploads/[^/]+")
"""Requests that limit their own bodies."""
_METRICS = {
    "schema": {"type": "string"},
    "example": 'smallprint_documents_total{kind="contract",outcome="complete"} 12.0\n',
}
ANY_PARAMETERS = "x-any-parameters"
"""In the `openapi_extra` of a route that takes any query parameters, as RFC 6749 demands."""
Check = Callable[[], None]


def create_app(
    name: str,
    routers: Sequence[APIRouter],
    checks: Sequence[Check],
    keys: Keys | None,
    limit: RateLimit | None = None,
    examples: Path | None = None,
    public_url: str = "",
    store: Store | None = None,
    **state: Any,
) -> FastAPI:
    """Build the application of a service.

    Args:
        name: the service.
        routers: its routes.
        checks: raise SuiteError while the service is not ready.
        keys: checks API keys; None for an application without such routes.
        limit: requests per key; None for no limit.
        examples: JSON file with an example of each operation, for OpenAPI.
        public_url: the origin that browsers use, if it is known.
        store: database of the audit trail; None for no trail.
        state: attributes of `request.app.state`.
    """
    app = FastAPI(
        title=f"smallprint {name}",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(_refuse_unknown_parameters)],
    )
    app.state.keys = keys
    app.state.checks = tuple(checks)
    app.state.alive = ()
    app.state.examples = examples
    app.state.limit = limit or RateLimit(0)
    app.state.https = public_url.startswith("https:")
    for key, value in state.items():
        setattr(app.state, key, value)
    for router in (_probes(name), *routers):
        app.include_router(router)
    app.add_exception_handler(SuiteError, suite_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(AuditMiddleware, store=store, problem=_answer_to)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestMiddleware, name=name)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app


async def _refuse_unknown_parameters(request: Request) -> None:
    """Raise InvalidRequest for a query parameter that the route lacks, such as a wrong filter.

    Pages read their parameters in the browser, as in `/review?item=…`, and probes may carry any. So
    may a route with ANY_PARAMETERS.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.url.path.startswith("/v1/"):
        return
    if ANY_PARAMETERS in (route.openapi_extra or {}):
        return
    known = _query_names(route.dependant)
    for name in request.query_params:
        if name not in known:
            takes = ", ".join(sorted(known)) or "none"
            raise InvalidRequest(f"There is no query parameter {name!r} here; known: {takes}.")


def _query_names(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_query_names, dependant.dependencies))


def health_app(name: str, checks: Sequence[Check], alive: Sequence[Check] = ()) -> FastAPI:
    """Build an application of probes, version and metrics for a process without routes.

    Args:
        alive: raise SuiteError once only a restart helps.
    """
    app = create_app(name, [], checks, None)
    app.state.alive = tuple(alive)
    return app


def _probes(name: str) -> APIRouter:
    router = APIRouter(tags=["operation"])
    living, ready, measuring = (ThreadBudget(PROBE_THREADS) for _ in range(3))

    def all_good(checks: Sequence[Check]) -> None:
        for check in checks:
            check()

    @router.get(
        "/livez",
        summary="Is the process alive?",
        responses={200: _example({"status": "ok"}), 503: {"description": "restart it"}},
    )
    async def livez(request: Request) -> dict[str, str]:
        """Answers 200 while the process works, and 503 once only a restart helps. Needs no key."""
        await living.run(partial(all_good, request.app.state.alive))
        return {"status": "ok"}

    @router.get(
        "/readyz",
        summary="Is the service ready?",
        responses={200: _example({"status": "ok"}), 503: {"description": "not now"}},
    )
    async def readyz(request: Request) -> dict[str, str]:
        """Answers 200 when requests and documents can be handled. Needs no key."""
        await ready.run(partial(all_good, request.app.state.checks))
        return {"status": "ok"}

    @router.get(
        "/version",
        summary="Version",
        responses={200: _example({"service": name, "version": VERSION})},
    )
    def version() -> dict[str, str]:
        """Returns the service's name and version. Needs no key."""
        return {"service": name, "version": VERSION}

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": _METRICS}},
            429: {"description": "ask less often"},
        },
    )
    async def measured(request: Request) -> Response:
        """Returns the metrics in the text format of Prometheus. Needs no key."""
        count_address(request)  # here: FastAPI runs a dependency in the shared pool of threads
        return Response(await measuring.run(metrics.exposition), media_type=metrics.CONTENT_TYPE)

    return router


def _example(answer: object) -> dict[str, Any]:
    return {"content": {"application/json": {"example": answer}}}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    document: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Build an error by RFC 9457, with our `document` and `trace`."""
    body = problem_body(status, code, detail)
    if document:
        body["document"] = document
    if trace := current_trace():
        body["trace"] = trace
    return JSONResponse(body, status_code=status, media_type=PROBLEM, headers=headers)


def suite_error(_request: Request, error: Exception) -> Response:
    """Answer a SuiteError."""
    assert isinstance(error, SuiteError)
    return _answer_to(error)


def _answer_to(error: SuiteError) -> Response:
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
    parts = [_describe(fault, request.headers.get("content-type", "")) for fault in error.errors()]
    return problem(422, "invalid_request", "; ".join(parts))


def _describe(fault: Mapping[str, Any], content_type: str) -> str:
    """Describe one error of a request.

    Args:
        fault: an error of pydantic; its position in broken JSON counts from 0.
        content_type: a body of another type than JSON is not parsed as JSON.
    """
    where = fault["loc"]
    if fault["type"] == "json_invalid":
        return f"the body is not JSON (at character {where[-1]})"
    message = f"{'.'.join(map(str, where))}: {fault['msg']}"
    unread = (
        where == ("body",) and fault["type"] != "missing" and "json" not in content_type.lower()
    )
    return f"{message}: send Content-Type: application/json" if unread else message


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if type(error.__cause__) is ValueError:  # of the JSON parser, for an integer
        return problem(422, "invalid_request", "a number in the body has more than 4,300 digits")
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(error.status_code, code, str(error.detail), headers=headers)


def _methods(request: Request) -> list[str]:
    """Return all methods of a path. Starlette returns those of the first route only."""
    fitting: dict[str, set[str]] = {}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            fitting.setdefault(route.path, set()).update(route.methods or ())
    plainest = min(fitting, key=lambda path: path.count("{"), default="")
    return sorted(fitting.get(plainest, ()))


class BodyLimit:
    """Refuses bodies above MAX_BODY, which would be read before the key is checked.

    Uploads have their own limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the announced length and the received bytes."""
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
                return  # drop the response to our own error
            started = True
            await send(message)

        with contextlib.suppress(_BodyTooLarge):
            await self.app(scope, receive_bounded, send_unless_too_large)
        if seen > MAX_BODY and not started:
            await _body_too_large()(scope, receive, send)


class _BodyTooLarge(Exception):
    """The body exceeds the limit."""


def _body_too_large() -> JSONResponse:
    detail = f"The body of this request may have {MAX_BODY:,} bytes."
    return problem(413, "request_too_large", detail, headers={"connection": "close"})


class RequestMiddleware:
    """Adds trace, safe headers and a log line to each request, and answers even after a bug."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI, so that streams pass unchanged."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        probe = scope["path"] in PROBES
        parent = _carried(scope) if is_on() and not probe else _carried(scope).or_new()
        started_at, status = time.monotonic(), 0
        scope["state"] = {**scope.get("state", {})}

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for key, value in SAFE_HEADERS.items():
                    headers.setdefault(key, value)
                headers.setdefault("cache-control", "no-store")
                quota = scope["state"].get(QUOTA_KEY)
                for key, value in quota.headers().items() if isinstance(quota, Quota) else ():
                    headers.setdefault(key, value)
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        attributes = {"http.request.method": method}
        with (
            work_of(),
            entered(self.name, method, parent, "server", attributes, quiet=probe) as span,
        ):
            try:
                await self.app(scope, receive, send_safely)
            except Exception:
                log.exception("a request failed unexpectedly", extra={"path": scope["path"]})
                if status:
                    raise
                detail = "An unexpected error occurred. Search the log for this trace."
                await problem(500, "internal", detail)(scope, receive, send_safely)
            finally:
                _describe_span(span, scope, status)
            if not probe:
                client, actor = scope.get("client"), _actor(scope)
                subject = {
                    **_subject(scope),
                    "key": actor.key_id if actor else None,
                    "session": actor.session_id if actor else None,
                    "address": client[0] if client else None,
                }
                extra = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "seconds": round(time.monotonic() - started_at, 4),
                    **{name: value for name, value in subject.items() if value},
                }
                log.info("request", extra=extra)


def _carried(scope: Scope) -> Carried:
    headers = dict(scope["headers"])
    parent, state = (
        headers.get(name, b"").decode("latin-1") for name in (b"traceparent", b"tracestate")
    )
    return Carried.read(parent, state)


def _subject(scope: Scope) -> dict[str, str | None]:
    """Return document and tenant of a request, known once it was answered."""
    route = getattr(scope.get("route"), "path", "")
    named = scope.get("path_params", {}).get("id") if route.startswith(_OF_A_DOCUMENT) else None
    actor = _actor(scope)
    return {"document": named, "tenant": actor.tenant if actor else None}


def _actor(scope: Scope) -> Actor | None:
    """Return who sent a request, known once its key was checked."""
    actor: Actor | None = scope["state"].get(ACTOR_KEY)
    return actor


def _describe_span(span: Span, scope: Scope, status: int) -> None:
    """Name the span by the route, not the path, which is user input."""
    route, subject = getattr(scope.get("route"), "path", None), _subject(scope)
    if route:
        span.rename(f"{scope['method']} {route}")
    span.set(
        {
            "http.route": route,
            "http.response.status_code": status,
            DOCUMENT: subject["document"] if status < 400 else None,
            TENANT: subject["tenant"],
        }
    )
    if status >= 500:
        span.fail(str(status))
