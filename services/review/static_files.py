"""The pages for reviewers: HTML, CSS and ES modules of this folder.

All pages share one shell, whose modules draw the view by the address. The content security policy
allows only files of this origin, so text of a document can't become code.

`/docs` shows the OpenAPI document with Swagger UI, whose files come with the package
fastapi-swagger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass
from importlib.resources import files as files_of
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.types import HTTPExceptionHandler

from shared.errors import NotFound

FOLDER = Path(__file__).parent / "pages"
SHELL = "index.html"
VIEWS = (
    "/",
    "/review",
    "/findings",
    "/reports",
    "/documents",
    "/documents/{document}",
    "/decisions",
    "/search",
    "/insights",
    "/costs",
    "/watch",
    "/people",
    "/sign-in",
)
_SELF = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
POLICY = f"{_SELF}; img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
DOCS_POLICY = f"{_SELF}; img-src 'self' data:"
"""The style sheet of Swagger UI contains its icons, and its script writes HTML."""
SWAGGER = Path(str(files_of("fastapi_swagger"))) / "resources"
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
NO_PAGES = ("/v1/", "/pages/")
"""Paths that never answer with a page."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class _File:
    body: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, path: Path) -> _File:
        body = path.read_bytes()
        return cls(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def answer(self, request: Request, status: int = 200, policy: str = POLICY) -> Response:
        headers = {
            "etag": self.tag,
            "cache-control": "no-cache",
            "content-security-policy": policy,
        }
        if status == 200 and request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.body, status, headers, self.media_type)


def pages(folder: Path = FOLDER) -> APIRouter:
    """Return the router for the shell at every view, `/docs`, and files below `/pages/`."""
    paths = [*folder.iterdir(), *(SWAGGER / name for name in SWAGGER_FILES)]
    files = {path.name: _File.read(path) for path in paths if path.suffix in _TYPES}
    router = APIRouter(include_in_schema=False)

    def shell(request: Request) -> Response:
        return files[SHELL].answer(request)

    for view in VIEWS:
        router.add_api_route(view, shell, methods=["GET", "HEAD"])

    @router.api_route("/docs", methods=["GET", "HEAD"])
    def docs(request: Request) -> Response:
        return files["docs.html"].answer(request, policy=DOCS_POLICY)

    @router.api_route("/pages/{name}", methods=["GET", "HEAD"])
    def part(request: Request, name: str) -> Response:
        if name not in files:
            raise NotFound(f"There is no file {name!r}.")
        return files[name].answer(request)

    @router.get("/favicon.ico")
    def icon(request: Request) -> Response:
        return files["icon.svg"].answer(request)

    return router


def not_found(default: HTTPExceptionHandler, folder: Path = FOLDER) -> HTTPExceptionHandler:
    """Return a handler for unknown addresses: browsers get the shell with status 404.

    Args:
        default: handles requests that do not want a page.
        folder: of the pages.
    """
    file = _File.read(folder / SHELL)

    def answer(request: Request, error: Exception) -> Response | Awaitable[Response]:
        wants_page = "text/html" in request.headers.get("accept", "")
        reads = request.method in ("GET", "HEAD")
        if wants_page and reads and not request.url.path.startswith(NO_PAGES):
            return file.answer(request, 404)
        return default(request, error)

    return answer
