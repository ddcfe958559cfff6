"""The session cookie of a browser, and the check that a sign-in comes from our own page."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request, Response

from shared.errors import NotAllowed
from shared.web.auth import COOKIE, SECURE_COOKIE


def same_origin(request: Request) -> None:
    """FastAPI dependency: refuse sign-in requests from other sites."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("Sign-in from another site is refused. Open the page itself.")


def set_cookie(response: Response, secret: str, expires: datetime, *, secure: bool) -> None:
    """Set the session cookie, out of reach of scripts and other sites.

    Args:
        secure: whether the browser uses HTTPS, for a cookie of this host only.
    """
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        secret,
        max_age=max(0, int((expires - datetime.now(UTC)).total_seconds())),
        httponly=True,
        samesite="strict",
        secure=secure,
        path="/",
    )


def clear_cookie(response: Response, *, secure: bool) -> None:
    """Delete the session cookie."""
    name = SECURE_COOKIE if secure else COOKIE
    response.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=secure)
