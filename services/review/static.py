"""The pages that analysts see: plain HTML, CSS and ES modules, from this folder and nowhere else.

Every page is the same shell; its modules read the address and draw the view. The policy lets a
browser run and load only what this origin serves, so text from a document can never become code:
no inline script or style, no other host, no frame around it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

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
    "/costs",
    "/watch",
    "/sign-in",
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
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

    def answer(self, request: Request) -> Response:
        headers = {
            "etag": self.tag,
            "cache-control": "no-cache",
            "content-security-policy": POLICY,
        }
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self.media_type, headers=headers)


def pages(folder: Path = FOLDER) -> APIRouter:
    """The shell at every address that a view has, and its parts below `/pages/`."""
    files = {path.name: _File.read(path) for path in folder.iterdir() if path.suffix in _TYPES}
    router = APIRouter(include_in_schema=False)

    def shell(request: Request) -> Response:
        return files[SHELL].answer(request)

    for view in VIEWS:
        router.add_api_route(view, shell, methods=["GET", "HEAD"])

    @router.api_route("/pages/{name}", methods=["GET", "HEAD"])
    def part(request: Request, name: str) -> Response:
        if name not in files:
            raise NotFound(f"there is no page part {name!r}")
        return files[name].answer(request)

    @router.get("/favicon.ico")
    def icon(request: Request) -> Response:
        return files["icon.svg"].answer(request)

    return router
