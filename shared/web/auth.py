"""Who is asking: an API key, or the session cookie that a browser got for one.

Keys are owned by ingest. Another service asks ingest over HTTP (`GET /v1/keys/self`) and remembers
the answer for at most a minute; in the embedded edition it is a call. A session is a key as well,
short-lived, that the browser holds in an HttpOnly cookie; whatever changes something then needs the
CSRF token, which only a reader of that cookie's answer can know.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

import httpx
from fastapi import Depends, Request

from shared.errors import NotAllowed, NotSignedIn, Unavailable
from shared.tenancy import belongs_to
from shared.tracing import carried
from shared.web.scopes import ALL, NoRule, needed, ordered
from shared.web.threads import OwnThreads

COOKIE = "smallprint_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TENANT_OF = "tenant"
"""Where a request remembers whose it is, in `request.state`, for its line in the log."""
QUOTA = "quota"
"""Where a request remembers what is left of its key's requests, in `request.state`."""
REMEMBERED = 10_000

KEY = re.compile(r"sp_([0-9a-f]{16})_([A-Za-z0-9]{43})")
"""The form of every key and session: what has another is none, and nobody is asked about it."""


@dataclass(frozen=True)
class Actor:
    """A named key of one tenant. Its name and its `key_id` are the same in all its sessions."""

    tenant: str
    name: str
    key_id: str
    session_id: str | None = None
    """The session that asks in the name of the key, if it is one."""
    scopes: frozenset[str] = ALL
    """What it may do: of `shared.web.scopes.SCOPES`."""


class Keys(Protocol):
    """Knows which keys are good."""

    def check(self, secret: str) -> Actor | None:
        """The holder of a key, or None if it is unknown, expired or revoked."""


class RemoteKeys:
    """Asks ingest, and remembers good answers for `seconds`: a revoked key dies by then."""

    def __init__(
        self, ingest_url: str, seconds: float = 60.0, client: httpx.Client | None = None
    ) -> None:
        self.seconds = min(seconds, 60.0)
        self._client = client or httpx.Client(base_url=ingest_url, timeout=5.0)
        self._known: dict[bytes, tuple[float, Actor]] = {}
        self._lock = threading.Lock()

    def check(self, secret: str) -> Actor | None:
        """See `Keys.check`. Raises Unavailable if ingest does not answer."""
        if not KEY.fullmatch(secret):
            return None
        mark = hashlib.sha256(secret.encode()).digest()
        with self._lock:
            known = self._known.get(mark)
        if known and known[0] > time.monotonic():
            return known[1]
        actor = self._ask(secret)
        with self._lock:
            if actor is None:
                self._known.pop(mark, None)
            else:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[mark] = (time.monotonic() + self.seconds, actor)
        return actor

    def _ask(self, secret: str) -> Actor | None:
        try:
            answer = self._client.get(
                "/v1/keys/self",
                headers={"authorization": f"Bearer {secret}", **carried().headers},
            )
        except httpx.HTTPError as error:
            what = type(error).__name__  # and not its text: that may quote what was sent
            raise Unavailable(f"keys can't be checked: ingest does not answer ({what})") from None
        if answer.status_code in (401, 403):
            return None
        if answer.status_code != 200:
            raise Unavailable(f"keys can't be checked: ingest answers {answer.status_code}")
        body = answer.json()
        parent = body.get("parent")
        return Actor(
            tenant=body["tenant"],
            name=body["name"],
            key_id=parent or body["id"],
            session_id=body["id"] if parent else None,
            scopes=frozenset(body.get("scopes", ALL)),
        )


def bearer(request: Request) -> str | None:
    """The key in the Authorization header."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def csrf_token(session: str) -> str:
    """The token that belongs to a session; it can't be computed without the session's secret."""
    return hmac.new(session.encode(), b"smallprint csrf", hashlib.sha256).hexdigest()


def known_actor(request: Request) -> Actor:
    """FastAPI dependency: who asks.

    Raises NotSignedIn, or NotAllowed without a CSRF token, and for a key without the scope.
    """
    secret = bearer(request)
    if secret is None:
        secret = request.cookies.get(COOKIE)
        if secret and request.method not in SAFE_METHODS:
            given = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
                raise NotAllowed("the CSRF token is missing or wrong: reload the page")
    if not secret:
        raise NotSignedIn("send a key: `Authorization: Bearer KEY`")
    keys: Any = request.app.state.keys
    actor: Actor | None = keys.check(secret)
    if actor is None:
        raise NotSignedIn("this key is unknown, expired or revoked")
    setattr(request.state, TENANT_OF, actor.tenant)
    belongs_to(actor.tenant)
    _require_scope(request, actor)
    return actor


def _require_scope(request: Request, actor: Actor) -> None:
    try:
        # The path that routes are found by: an address made of it has lost tabs and line breaks.
        scope = needed(request.method, request.scope["path"])
    except NoRule:
        raise NotAllowed("no scope opens this route: it can't be used") from None
    if scope is not None and scope not in actor.scopes:
        raise NotAllowed(
            f"this needs a key with the scope `{scope}`; {actor.name} has "
            f"{', '.join(ordered(actor.scopes))}"
        )


def require_actor(request: Request, actor: Annotated[Actor, Depends(known_actor)]) -> Actor:
    """FastAPI dependency: who asks, and may still do so. Raises TooManyRequests beside those."""
    quota = request.app.state.limit.take(actor.key_id)
    setattr(request.state, QUOTA, quota)
    return actor


_THREADS = OwnThreads(8)


async def known_aside(request: Request) -> Actor:
    """FastAPI dependency: the same, in threads apart from those of the other requests."""
    return await _THREADS.run(partial(known_actor, request))


KnownActor = Annotated[Actor, Depends(known_aside)]
"""Who asks, without counting: for what our own services ask in somebody's name, and are to hear
however busy the others are.
"""
CurrentActor = Annotated[Actor, Depends(require_actor)]
