"""Sign-in for browsers: an API key is exchanged for a short-lived session key in a cookie.

Keys belong to ingest: it mints the session, checks it like any key, and ends it. Between processes
that is HTTP; in the embedded edition ingest's own object is passed to `bootstrap.build`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import httpx
from fastapi import Request, Response

from shared.errors import NotAllowed, NotSignedIn, Unavailable
from shared.web.auth import COOKIE, KEY, Actor

SESSIONS = "/v1/keys/sessions"
_BAD_KEY = "this key is unknown, expired or revoked"


@dataclass(frozen=True)
class Session:
    """A short-lived key for a browser."""

    secret: str
    expires: datetime


class SessionKeys(Protocol):
    """Mints and ends sessions."""

    def open_session(self, key: str) -> Session:
        """A session for the holder of a key. Raises NotSignedIn."""

    def close_session(self, secret: str) -> None:
        """End a session; nothing happens if it is over already."""


@runtime_checkable
class KeyRing(Protocol):
    """Ingest's own keys, in the same process. A new key has a `secret`, and `key.expires`."""

    def check(self, secret: str) -> Actor | None:
        """The holder of a key, or None if it is unknown, expired or revoked."""

    def open_session(self, actor: Actor) -> Any:
        """A session of a key."""

    def close_session(self, actor: Actor) -> None:
        """End the session that asks."""


class LocalSessions:
    """Asks ingest by a call: the embedded edition."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def open_session(self, key: str) -> Session:
        """See `SessionKeys.open_session`."""
        actor = self._keys.check(key)
        if actor is None:
            raise NotSignedIn(_BAD_KEY)
        new = self._keys.open_session(actor)
        return Session(new.secret, new.key.expires)

    def close_session(self, secret: str) -> None:
        """See `SessionKeys.close_session`."""
        actor = self._keys.check(secret)
        if actor is not None:
            self._keys.close_session(actor)


class RemoteSessions:
    """Asks ingest over HTTP."""

    def __init__(self, ingest_url: str, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=ingest_url, timeout=5.0)

    def open_session(self, key: str) -> Session:
        """See `SessionKeys.open_session`. Raises Unavailable if ingest does not answer."""
        if not KEY.fullmatch(key):
            raise NotSignedIn(_BAD_KEY)
        answer = self._ask("POST", key)
        if answer.status_code in (401, 403):
            raise NotSignedIn(_BAD_KEY)
        if answer.status_code not in (200, 201):
            raise Unavailable(f"nobody can sign in: ingest answers {answer.status_code}")
        body = answer.json()
        return Session(body["secret"], datetime.fromisoformat(body["expires"]))

    def close_session(self, secret: str) -> None:
        """See `SessionKeys.close_session`. Raises Unavailable if ingest does not answer."""
        answer = self._ask("DELETE", secret)
        if answer.status_code >= 500:
            raise Unavailable(f"the session can't be ended: ingest answers {answer.status_code}")

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _ask(self, method: str, secret: str) -> httpx.Response:
        try:
            return self._client.request(
                method, SESSIONS, headers={"authorization": f"Bearer {secret}"}
            )
        except httpx.HTTPError as error:
            what = type(error).__name__  # and not its text: that may quote what was sent
            raise Unavailable(f"keys can't be checked: ingest does not answer ({what})") from None


def same_origin(request: Request) -> None:
    """FastAPI dependency: another site may not sign its visitors in or out here."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("another site asks to sign in: open the page itself")


def set_cookie(response: Response, session: Session, now: datetime, *, secure: bool) -> None:
    """Give the browser its session: out of reach for scripts and for other sites."""
    response.set_cookie(
        COOKIE,
        session.secret,
        max_age=max(0, int((session.expires - now).total_seconds())),
        httponly=True,
        samesite="strict",
        secure=secure,
        path="/",
    )


def clear_cookie(response: Response, *, secure: bool) -> None:
    """Take the session back."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=secure)
