"""The table of paths and the service that answers each.

The embedded edition dispatches in one process by this table; `services/proxy` routes between
processes by the same one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from starlette.types import ASGIApp, Receive, Scope, Send

from shared.events import Stage

_ROUTES: tuple[tuple[str, Stage], ...] = (
    *((rf"/v1/documents/[^/]+/journal/{stage}", stage) for stage in get_args(Stage)),
    (r"/v1/documents/[^/]+/(clauses|presence|values)(/.*)?", "extraction"),
    (r"/v1/documents/[^/]+/(statements|findings|signals|narrative-flags|history)(/.*)?", "triage"),
    (r"/v1/documents/[^/]+/report", "review"),
    (r"/v1/(reports)(/.*)?", "triage"),
    (r"/v1/watch/findings", "triage"),
    (r"/v1/(watch)(/.*)?", "extraction"),
    (
        r"/v1/(documents|uploads|search|webhooks|keys|users|sign-in|retention|deletions)(/.*)?",
        "ingest",
    ),
    (r"/v1/(escalations|costs|policy)(/.*)?", "escalation"),
    (r"/v1/(items|decisions|exports|insights|session)(/.*)?", "review"),
)
_COMPILED = tuple((re.compile(pattern), service) for pattern, service in _ROUTES)
_SCHEMA = re.compile(r"/openapi/(ingest|extraction|triage|review|escalation)\.json")


def service_for(path: str) -> Stage:
    """The service that answers a path; review answers its pages and every unknown path."""
    return next((service for pattern, service in _COMPILED if pattern.fullmatch(path)), "review")


def target(path: str) -> tuple[Stage, str]:
    """The service that answers a path, and its own path for it."""
    schema = _SCHEMA.fullmatch(path)
    if schema:
        return schema.group(1), "/openapi.json"  # type: ignore[return-value]
    return service_for(path), path


class Dispatcher:
    """Passes each request to an application in this process.

    `front` answers probes and the OpenAPI document of the suite.
    """

    FRONT = frozenset({"/livez", "/readyz", "/version", "/metrics", "/openapi.json"})

    def __init__(self, services: Mapping[Stage, ASGIApp], front: ASGIApp) -> None:
        self.services = services
        self.front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI; `front` also gets the lifespan."""
        if scope["type"] != "http" or scope["path"] in self.FRONT:
            await self.front(scope, receive, send)
            return
        service, path = target(scope["path"])
        inner = (
            scope if path == scope["path"] else {**scope, "path": path, "raw_path": path.encode()}
        )
        await self.services[service](inner, receive, send)
