"""Sign-in for browsers: an API key is exchanged for a short-lived session key in a cookie.

Ingest opens, checks and closes sessions, over HTTP or by a call in the embedded edition.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import httpx

from shared.errors import NotAllowed, NotSignedIn, Unavailable
from shared.web.auth import KEY, Actor, ask_ingest, require_address

SESSIONS = "/v1/keys/sessions"


@dataclass(frozen=True)
class Session:
    """A short-lived key for a browser."""

    secret: str
    expires: datetime


class SessionKeys(Protocol):
    """Opens and closes sessions."""

    def open_session(
        self, key: str, address: str | None = None, user_agent: str | None = None
    ) -> Session:
        """Open a session for the holder of a key, in a browser at an address.

        Raises NotSignedIn; NotAllowed from an address where the key does not work.
        """

    def close_session(self, secret: str, address: str | None = None) -> None:
        """Close a session of a browser at an address, if it is open."""


@runtime_checkable
class KeyRing(Protocol):
    """Ingest's keys in the same process. A new key has a `secret` and `key.expires`."""

    def check(self, secret: str) -> Actor | None:
        """Return the holder of a valid key, or None."""

    def open_session(self, actor: Actor, address: str | None, user_agent: str | None) -> Any:
        """Open a session of a key."""

    def close_session(self, actor: Actor) -> None:
        """Close the session of the caller."""


class LocalSessions:
    """Sessions by calls to ingest, in the embedded edition."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def open_session(
        self, key: str, address: str | None = None, user_agent: str | None = None
    ) -> Session:
        """See `SessionKeys.open_session`."""
        actor = self._keys.check(key)
        if actor is None:
            raise NotSignedIn
        require_address(actor, address)
        new = self._keys.open_session(actor, address, user_agent)
        return Session(new.secret, new.key.expires)

    def close_session(self, secret: str, address: str | None = None) -> None:  # noqa: ARG002
        """See `SessionKeys.close_session`."""
        actor = self._keys.check(secret)
        if actor is not None:
            self._keys.close_session(actor)


class RemoteSessions:
    """Sessions over HTTP."""

    def __init__(self, ingest_url: str, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=ingest_url, timeout=5.0)

    def open_session(
        self, key: str, address: str | None = None, user_agent: str | None = None
    ) -> Session:
        """See `SessionKeys.open_session`. Raises Unavailable if ingest does not answer."""
        if not KEY.fullmatch(key):
            raise NotSignedIn
        answer = ask_ingest(self._client, "POST", SESSIONS, key, address, user_agent or "")
        if answer.status_code == 401:
            raise NotSignedIn
        if answer.status_code == 403:
            raise NotAllowed(answer.json()["detail"])
        if answer.status_code not in (200, 201):
            raise Unavailable(f"Sign-in is not possible now: ingest answered {answer.status_code}.")
        body = answer.json()
        return Session(body["secret"], datetime.fromisoformat(body["expires"]))

    def close_session(self, secret: str, address: str | None = None) -> None:
        """See `SessionKeys.close_session`. Raises Unavailable if ingest does not answer."""
        answer = ask_ingest(self._client, "DELETE", SESSIONS, secret, address)
        if answer.status_code >= 500:
            raise Unavailable(
                f"The session can't be closed now: ingest answered {answer.status_code}."
            )

    def close(self) -> None:
        self._client.close()
