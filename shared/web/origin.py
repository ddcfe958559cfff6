"""One origin for browsers and clients: which service answers which path.

The table is the ownership table of the suite. In the embedded edition `Origin` calls the services'
applications in the same process; between processes `infra/origin.py` proxies by the same table.
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
    (r"/v1/(reports)(/.*)?", "triage"),
    (r"/v1/watch/findings", "triage"),
    (r"/v1/(watch)(/.*)?", "extraction"),
    (r"/v1/(documents|uploads|search|webhooks|keys|retention|deletions)(/.*)?", "ingest"),
    (r"/v1/(escalations|costs|policy)(/.*)?", "escalation"),
    (r"/v1/(items|decisions|exports|session)(/.*)?", "review"),
)
_COMPILED = tuple((re.compile(pattern), owner) for pattern, owner in _ROUTES)
_SCHEMA = re.compile(r"/openapi/(ingest|extraction|triage|review|escalation)\.json")


def owner(path: str) -> Stage:
    """The service that answers a path; pages, and whatever nobody owns, belong to review."""
    return next((service for pattern, service in _COMPILED if pattern.fullmatch(path)), "review")


def target(path: str) -> tuple[Stage, str]:
    """The service that answers a path, and the path by which it knows it."""
    schema = _SCHEMA.fullmatch(path)
    if schema:
        return schema.group(1), "/openapi.json"  # type: ignore[return-value]
    return owner(path), path


class Origin:
    """Dispatches to applications in this process. Probes are answered by `front`."""

    FRONT = frozenset({"/livez", "/readyz", "/version", "/metrics"})

    def __init__(self, services: Mapping[Stage, ASGIApp], front: ASGIApp) -> None:
        self.services = services
        self.front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI; lifespan goes to the front."""
        if scope["type"] != "http" or scope["path"] in self.FRONT:
            await self.front(scope, receive, send)
            return
        service, path = target(scope["path"])
        inner = (
            scope if path == scope["path"] else {**scope, "path": path, "raw_path": path.encode()}
        )
        await self.services[service](inner, receive, send)
