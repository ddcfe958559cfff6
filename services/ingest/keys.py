"""API keys: `sp_<id>_<secret>`, shown once and stored as a hash.

The secret has 256 random bits, so a plain SHA-256 is enough: slow, salted hashes protect only
secrets that can be guessed. A check takes microseconds.

A session is a short-lived key for a browser cookie. It has the name of its parent and ends with it.
A link is a key that opens one session and nothing else: it is part of an address that signs in.
No two valid keys of a tenant have the same name, so a name identifies the key that acted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.ingest.domain import Key, now_utc
from services.ingest.store import KeyRows
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound, NotSignedIn, Unavailable
from shared.storage import Store
from shared.storage.locks import lock
from shared.web.auth import KEY, Actor
from shared.web.parameters import ID
from shared.web.scopes import ALL, parse_scopes, sort_scopes

TENANT = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
NAME = r"[^\x00-\x1f\x7f\ud800-\udfff]{1,100}"

_LETTERS = string.ascii_letters + string.digits
_SECRET_LENGTH = 43  # 62^43 > 2^256
_LINK_AGE = timedelta(hours=1)
_USE_NOTED = timedelta(minutes=5)
"""Resolution of `last_used`, to avoid a write for every request."""


@dataclass(frozen=True)
class NewKey:
    """A new key with its secret, which is not stored."""

    key: Key
    secret: str = field(repr=False)


class KeyRing:
    """The keys of all tenants; implements `shared.web.auth.Keys` over the database."""

    def __init__(self, store: Store, session_seconds: float = 43_200.0) -> None:
        self.store = store
        self.session_seconds = session_seconds

    def check(self, secret: str) -> Actor | None:
        """Return the actor of a key, or None if it is unknown, expired or revoked."""
        key = self.find(secret)
        if key is None:
            return None
        session = key.id if key.parent and key.kind == "session" else None
        return Actor(
            key.tenant,
            key.name,
            key_id=(key.parent if session else None) or key.id,
            session_id=session,
            scopes=key.scopes,
        )

    def find(self, secret: str) -> Key | None:
        form = KEY.fullmatch(secret)
        if form is None:
            return None
        with self.store.read() as session:
            rows = KeyRows(session)
            key = rows.find(form.group(1))
            parent = rows.find(key.parent) if key and key.parent else None
        # Look up by id, then compare in constant time.
        if key is None or not hmac.compare_digest(key.digest, _digest(form.group(2))):
            return None
        now = now_utc()
        if not key.good(now) or (key.parent and not (parent and parent.good(now))):
            return None
        self._note_use(key, now)
        return key

    def create(
        self,
        tenant: str,
        name: str,
        *,
        scopes: Iterable[str] | None = None,
        by: Actor | None = None,
    ) -> NewKey:
        """Create a key for a tenant.

        Args:
            scopes: None for all scopes of the creator.
            by: the creating key; None for the operator.

        Raises:
            InvalidRequest: invalid name or scopes.
            Conflict: a valid key of the tenant has this name.
            NotAllowed: the creator lacks a scope, or is a session, which the key would outlive.
        """
        _require_key(by)
        allowed = by.scopes if by else ALL
        wanted = allowed if scopes is None else parse_scopes(scopes)
        if lacking := sort_scopes(wanted - allowed):
            raise NotAllowed(f"A key can't grant scopes that it lacks: {', '.join(lacking)}.")
        new = _new_key(tenant, name, scopes=wanted, created_by=by.name if by else None)
        with self.store.write() as session:
            lock(session, "keys")
            rows = KeyRows(session)
            _require_free_name(rows, new.key)
            rows.add(new.key)
        return new

    @contextmanager
    def temporary(self, tenant: str) -> Iterator[str]:
        """The secret of a session for the operator; it ends with the block, or in five minutes."""
        new = _new_key(tenant, "operator", kind="session", expires=now_utc() + timedelta(minutes=5))
        with self.store.write() as session:
            KeyRows(session).add(new.key)
        try:
            yield new.secret
        finally:
            with self.store.write() as session:
                KeyRows(session).remove(new.key.id)

    def list(self, tenant: str | None = None) -> list[Key]:
        """Return the keys of a tenant (None: of all), oldest first, without sessions."""
        if tenant is not None:
            _require_tenant(tenant)
        with self.store.read() as session:
            return KeyRows(session).list(tenant)

    def revoke(self, key_id: str, tenant: str | None = None, *, by: Actor | None = None) -> None:
        """Revoke a key and its sessions, in one tenant or (for the operator) in any.

        Raises NotFound; NotAllowed for a session.
        """
        _require_key(by)
        if not re.fullmatch(ID, key_id):
            raise NotFound(f"There is no key {key_id!r}.")
        with self.store.write() as session:
            if not KeyRows(session).revoke(key_id, tenant, now_utc()):
                raise NotFound(f"There is no key {key_id}.")

    def open_link(self, actor: Actor) -> NewKey:
        """Create a link that opens one session of a key. Raises NotAllowed for another holder."""
        new = _new_key(
            actor.tenant,
            actor.name,
            kind="link",
            parent=actor.key_id,
            expires=now_utc() + _LINK_AGE,
            scopes=frozenset(),
        )
        with self.store.write() as session:
            rows = KeyRows(session)
            parent = rows.find(actor.key_id)
            if actor.session_id or not parent or parent.kind != "key":
                raise NotAllowed("Only a key can create a link that signs in.")
            rows.add(new.key)
        return new

    def open_session(self, actor: Actor) -> NewKey:
        """Create a session of a key. A link ends with it. Raises NotAllowed for a session."""
        if actor.session_id:
            raise NotAllowed("A session can't open another session. Sign in with a key.")
        now = now_utc()
        with self.store.write() as session:
            rows = KeyRows(session)
            parent = rows.find(actor.key_id)
            if parent and parent.kind == "link":
                unused = rows.remove(parent.id)
                parent = rows.find(parent.parent) if unused and parent.parent else None
            if parent is None or not parent.good(now):
                raise NotSignedIn("This key is unknown, expired or revoked.")
            ends = now + timedelta(seconds=self.session_seconds)
            if parent.expires is not None:
                ends = min(ends, parent.expires)
            new = _new_key(
                parent.tenant,
                parent.name,
                kind="session",
                parent=parent.id,
                expires=ends,
                scopes=parent.scopes,
            )
            rows.forget_sessions_before(now - timedelta(days=1))
            rows.add(new.key)
        return new

    def close_session(self, actor: Actor) -> None:
        """End the current session. Raises NotAllowed for a key."""
        if not actor.session_id:
            raise NotAllowed("This is a key, not a session. Revoke it by its id.")
        with self.store.write() as session:
            KeyRows(session).end_session(actor.session_id, actor.tenant, now_utc())

    def _note_use(self, key: Key, now: datetime) -> None:
        if key.last_used is not None and now - key.last_used < _USE_NOTED:
            return
        try:
            with self.store.write() as session:
                KeyRows(session).used(key.id, now)
        except Unavailable:
            return  # a busy database must not refuse a valid key


def _require_key(actor: Actor | None) -> None:
    if actor and actor.session_id:
        raise NotAllowed("A session can't create or revoke keys. Use a key.")


def _require_free_name(rows: KeyRows, new: Key) -> None:
    """Raise Conflict for a name in use; capitals make no difference to people."""
    name = new.name.casefold()
    for key in rows.list(new.tenant):
        if key.good(new.created) and key.name.casefold() == name:
            raise Conflict(
                f"Key {key.id} of tenant {new.tenant} already has the name "
                f"{key.name!r}. Choose another name, or revoke that key first."
            )


def _require_tenant(tenant: str) -> None:
    if not re.fullmatch(TENANT, tenant):
        raise InvalidRequest(
            f"{tenant!r} is not a valid tenant. Use at most 64 letters, digits, `_`, `.` and `-`."
        )


def _new_key(
    tenant: str,
    name: str,
    *,
    kind: Literal["key", "session", "link"] = "key",
    created_by: str | None = None,
    parent: str | None = None,
    expires: datetime | None = None,
    scopes: frozenset[str] = ALL,
) -> NewKey:
    _require_tenant(tenant)
    name = unicodedata.normalize("NFC", name).strip()
    if not re.fullmatch(NAME, name):
        raise InvalidRequest(
            "A key needs a name of 1 to 100 UTF-8 characters, without control characters."
        )
    key_id = secrets.token_hex(8)
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    key = Key(
        id=key_id,
        tenant=tenant,
        name=name,
        kind=kind,
        created=now_utc(),
        created_by=created_by,
        parent=parent,
        expires=expires,
        digest=_digest(secret),
        scopes=scopes,
    )
    return NewKey(key, f"sp_{key_id}_{secret}")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
