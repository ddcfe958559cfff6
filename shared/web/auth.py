"""Authentication by API key, or by a session cookie of a browser.

Ingest owns the keys. Another service asks it over HTTP (`GET /v1/keys/self`) and caches the answer
for up to a minute; in the embedded edition it is a call. A session is a short-lived key in an
HttpOnly cookie. Requests that change something then need the CSRF token, which other origins can't
read.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Protocol

import httpx
from fastapi import Depends, Request

from shared.errors import NotAllowed, NotSignedIn, SignInAgain, TooManyRequests, Unavailable
from shared.tenancy import belongs_to
from shared.tracing import carried
from shared.web.addresses import client_network, is_inside
from shared.web.admission import ThreadBudget
from shared.web.current_request import current_request
from shared.web.scopes import ALL, NoRule, Scope, sort_scopes, sufficient_scopes

COOKIE = "smallprint_session"
SECURE_COOKIE = "__Host-smallprint_session"
"""With this prefix, browsers take the cookie only over HTTPS and only from this host."""
FRESH = timedelta(minutes=15)
"""For how long a session may make changes that outlive it, such as new keys."""
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ACTOR_KEY = "actor"
"""Attribute of `request.state` with the actor, for the log and the audit trail."""
QUOTA_KEY = "quota"
"""Attribute of `request.state` with the remaining requests of the key."""
CACHE_SIZE = 10_000

KEY = re.compile(r"sp_([0-9a-f]{16})_([A-Za-z0-9]{43})")
"""The form of keys and sessions; anything else is refused without a lookup."""


@dataclass(frozen=True)
class Actor:
    """A named key of one tenant; its sessions have the same name and `key_id`."""

    tenant: str
    name: str
    key_id: str
    session_id: str | None = None
    """The session that acts for the key, if any."""
    scopes: frozenset[str] = ALL
    """Names from `shared.web.scopes.SCOPES`."""
    addresses: tuple[str, ...] = ()
    """Networks from which it may act; empty: from anywhere."""
    signed_in: datetime | None = None
    """When the session was opened. Only ingest knows it."""

    def may(self, scope: Scope) -> bool:
        """Return whether it has a scope."""
        return scope in self.scopes


class Keys(Protocol):
    """Checks API keys."""

    def check(self, secret: str) -> Actor | None:
        """Return the actor of a key, or None if it is unknown, expired or revoked."""


class RemoteKeys:
    """Asks ingest and caches valid keys for `seconds`, so a revoked key works that long."""

    def __init__(
        self, ingest_url: str, seconds: float = 60.0, client: httpx.Client | None = None
    ) -> None:
        self.seconds = min(seconds, 60.0)
        self._client = client or httpx.Client(base_url=ingest_url, timeout=5.0)
        self._cache: dict[bytes, tuple[float, Actor]] = {}
        self._lock = threading.Lock()

    def check(self, secret: str) -> Actor | None:
        """See `Keys.check`. Raises Unavailable and TooManyRequests like `ask_ingest`."""
        if not KEY.fullmatch(secret):
            return None
        digest = hashlib.sha256(secret.encode()).digest()
        with self._lock:
            cached = self._cache.get(digest)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        actor = self._request(secret)
        with self._lock:
            if actor is None:
                self._cache.pop(digest, None)
            else:
                if len(self._cache) >= CACHE_SIZE:
                    self._cache.clear()
                self._cache[digest] = (time.monotonic() + self.seconds, actor)
        return actor

    def _request(self, secret: str) -> Actor | None:
        request = current_request()
        address = request.address if request else None
        answer = ask_ingest(self._client, "GET", "/v1/keys/self", secret, address)
        if answer.status_code in (401, 403):
            return None
        if answer.status_code != 200:
            raise Unavailable(f"Keys can't be checked: ingest answers {answer.status_code}.")
        body = answer.json()
        parent = body.get("parent") if body.get("kind") == "session" else None
        return Actor(
            tenant=body["tenant"],
            name=body["name"],
            key_id=parent or body["id"],
            session_id=body["id"] if parent else None,
            scopes=frozenset(body["scopes"]),
            addresses=tuple(body.get("addresses", ())),
        )


def ask_ingest(
    client: httpx.Client, method: str, path: str, secret: str, address: str | None, agent: str = ""
) -> httpx.Response:
    """Send a request with a key to ingest.

    Raises Unavailable if it does not answer, and TooManyRequests above its limit.

    Args:
        address: of the client. Ingest takes it from this service as from a trusted proxy.
        agent: the client's name for itself.
    """
    headers = {
        "authorization": f"Bearer {secret}",
        "x-forwarded-for": address or "",
        "user-agent": agent.encode("ascii", "replace").decode(),
        **carried().headers,
    }
    try:
        answer = client.request(method, path, headers=headers)
    except httpx.HTTPError as error:
        reason = type(error).__name__  # its text may quote the request
        raise Unavailable(f"Keys can't be checked: ingest does not answer ({reason}).") from None
    if answer.status_code == 429:
        raise TooManyRequests(retry_after=int(answer.headers.get("retry-after", "1")))
    return answer


def bearer(request: Request) -> str | None:
    """Return the key in the Authorization header."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def is_https(request: Request) -> bool:
    """Return whether the browser uses HTTPS, by the public address or by this request."""
    return request.url.scheme == "https" or bool(request.app.state.https)


def session_cookie(request: Request) -> str | None:
    """Return the secret in the session cookie. Over HTTPS only the cookie with `__Host-` counts."""
    return request.cookies.get(SECURE_COOKIE if is_https(request) else COOKIE)


def csrf_token(session: str) -> str:
    """Return the CSRF token of a session; it can't be computed without its secret."""
    return hmac.new(session.encode(), b"smallprint csrf", hashlib.sha256).hexdigest()


def authenticate(request: Request) -> Actor:
    """FastAPI dependency: the actor of a request.

    Raises NotSignedIn; NotAllowed without a CSRF token or the scope.
    """
    key = bearer(request)
    secret = key or session_cookie(request)
    if not secret:
        count_refusal(request)
        raise NotSignedIn("Send a key: `Authorization: Bearer KEY`.")
    keys: Any = request.app.state.keys
    actor: Actor | None = keys.check(secret)
    if actor is None or not (key or actor.session_id):
        count_refusal(request)
        raise NotSignedIn
    setattr(request.state, ACTOR_KEY, actor)
    belongs_to(actor.tenant)
    if not key and request.method not in SAFE_METHODS:
        token = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(token.encode(), csrf_token(secret).encode()):
            raise NotAllowed("The CSRF token is missing or wrong. Reload the page.")
    _require_scope(request, actor)
    return actor


def _require_scope(request: Request, actor: Actor) -> None:
    try:
        # The path that routes match: `request.url` drops tabs and line breaks.
        scopes = sufficient_scopes(request.method, request.scope["path"])
    except NoRule:
        raise NotAllowed("No scope allows this route.") from None
    if scopes and not actor.scopes.intersection(scopes):
        raise NotAllowed(
            f"This needs the scope {' or '.join(f'`{scope}`' for scope in scopes)}; {actor.name} "
            f"has {', '.join(sort_scopes(actor.scopes))}."
        )


def require_key(actor: Actor | None, action: str) -> None:
    """Raise NotAllowed for a session: some changes would outlive it."""
    if actor and actor.session_id:
        raise NotAllowed(f"A session can't {action}. Use a key.")


def require_fresh(actor: Actor | None, action: str) -> None:
    """Raise SignInAgain for a session older than `FRESH`: a stolen one can't make itself last."""
    if actor and actor.session_id:
        opened = actor.signed_in
        if opened is None or datetime.now(UTC) - opened > FRESH:
            minutes = FRESH // timedelta(minutes=1)
            raise SignInAgain(
                f"Sign in again to {action}: a session may do so for {minutes} minutes."
            )


def require_address(actor: Actor, address: str | None) -> None:
    """Raise NotAllowed if a key may not act from an address."""
    if not is_inside(address, actor.addresses):
        raise NotAllowed(f"This key can't be used from the address {address}.")


def client_address(request: Request) -> str | None:
    """Return the address of the client, from a trusted proxy if there is one."""
    return request.client.host if request.client else None


def count_refusal(request: Request) -> None:
    """Count a request without a valid key for its address. Raises TooManyRequests.

    It is called after the check, so that nobody can lock out valid keys at a shared address.
    """
    request.app.state.limit.take(f"address {client_network(client_address(request))}")


def count_address(request: Request) -> None:
    """FastAPI dependency of a route without key: count the request for its path and address.

    Raises TooManyRequests.
    """
    network = client_network(client_address(request))
    request.app.state.limit.take(f"{request.scope['path']} {network}")


def limited_actor(request: Request, actor: Annotated[Actor, Depends(authenticate)]) -> Actor:
    """FastAPI dependency: the actor, at an allowed address and counted by the rate limit.

    Raises NotAllowed and TooManyRequests too.
    """
    require_address(actor, client_address(request))
    quota = request.app.state.limit.take(actor.key_id)
    setattr(request.state, QUOTA_KEY, quota)
    return actor


_THREADS = ThreadBudget(8)


async def authenticate_in_thread(request: Request) -> Actor:
    """FastAPI dependency: `authenticate` in threads apart from other requests."""
    return await _THREADS.run(partial(authenticate, request))


UncountedActor = Annotated[Actor, Depends(authenticate_in_thread)]
"""The actor without limits of rate and address: for our own services, which must not wait.

They check the address of their client themselves.
"""
CurrentActor = Annotated[Actor, Depends(limited_actor)]
