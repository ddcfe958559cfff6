"""Keys: `sp_<id>_<secret>`, made once, shown once, and kept as a hash.

The secret is 256 bits from the system's random source. A plain SHA-256 of it is enough: slow,
salted password hashes defend what people choose against guessing, and nobody guesses one of 2^256
secrets, with or without the hash. So a check costs microseconds, and no password is anywhere.

A session is a key as well: short-lived, for a browser's cookie, and dead as soon as its parent is.
It acts under its parent's id and name, and no two living keys of a tenant have the same name: so
whoever reads who did what knows which key it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.ingest.domain import Key, now_utc
from services.ingest.store import KeyRows
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound, NotSignedIn, Unavailable
from shared.storage import Store
from shared.storage.locks import lock
from shared.web.auth import KEY, Actor
from shared.web.ids import ID
from shared.web.scopes import ALL, chosen, ordered

TENANT = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
NAME = r"[^\x00-\x1f\x7f\ud800-\udfff]{1,100}"

_LETTERS = string.ascii_letters + string.digits
_SECRET_LENGTH = 43  # 62^43 > 2^256
_USE_NOTED = timedelta(minutes=5)
"""How exact `last_used` is: a write for every request would be a high price."""


@dataclass(frozen=True)
class NewKey:
    """A key just made, with its secret, which can't be shown again."""

    key: Key
    secret: str = field(repr=False)


class KeyRing:
    """The keys of all tenants. Implements `shared.web.auth.Keys` by asking the database."""

    def __init__(self, store: Store, session_seconds: float = 43_200.0) -> None:
        self.store = store
        self.session_seconds = session_seconds

    def check(self, secret: str) -> Actor | None:
        """The holder of a key, or None if it is unknown, expired or revoked."""
        key = self.find(secret)
        if key is None:
            return None
        session = key.id if key.parent else None
        return Actor(
            key.tenant,
            key.name,
            key_id=key.parent or key.id,
            session_id=session,
            scopes=key.scopes,
        )

    def find(self, secret: str) -> Key | None:
        """The good key that a secret belongs to, or None."""
        form = KEY.fullmatch(secret)
        if form is None:
            return None
        with self.store.read() as session:
            rows = KeyRows(session)
            key = rows.find(form.group(1))
            parent = rows.find(key.parent) if key and key.parent else None
        # A look-up by id, then a comparison whose time does not tell how much was right.
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
        """Make a key for a tenant; `by` is the key that asks, None the operator.

        Args:
            tenant: whose documents it opens.
            name: of the actor.
            scopes: what it may do; None: all that whoever asks may.
            by: the key that asks.

        Raises InvalidRequest for a name or scopes that can't be, Conflict for a name that a living
        key of the tenant has, NotAllowed for more than `by` may itself, and for a session: what it
        made would outlive it.
        """
        _refuse_session(by)
        most = by.scopes if by else ALL
        wanted = most if scopes is None else chosen(scopes)
        if wanted - most:
            raise NotAllowed(
                f"a key can't give what it has not: {', '.join(ordered(wanted - most))}"
            )
        new = _mint(tenant, name, scopes=wanted, created_by=by.name if by else None)
        with self.store.write() as session:
            lock(session, "keys")
            rows = KeyRows(session)
            _refuse_taken_name(rows, new.key)
            rows.add(new.key)
        return new

    def first_key(self, tenant: str = "default", name: str = "first") -> NewKey | None:
        """Make the first key of this database; None if there ever was one, even a revoked one."""
        new = _mint(tenant, name)
        with self.store.write() as session:
            lock(session, "keys")
            rows = KeyRows(session)
            if not rows.empty():
                return None
            rows.add(new.key)
        return new

    def unmake(self, key_id: str) -> None:
        """Take back a key whose secret nobody has seen, as if it had never been made."""
        with self.store.write() as session:
            KeyRows(session).remove(key_id)

    def list(self, tenant: str | None = None) -> list[Key]:
        """The keys of a tenant (None: of all, for the operator), oldest first, no sessions."""
        if tenant is not None:
            _require_tenant(tenant)
        with self.store.read() as session:
            return KeyRows(session).list(tenant)

    def revoke(self, key_id: str, tenant: str | None = None, *, by: Actor | None = None) -> None:
        """End a key and its sessions, in one tenant or (for the operator) in any.

        Raises NotFound if there is no such key, NotAllowed for a session.
        """
        _refuse_session(by)
        if not re.fullmatch(ID, key_id):
            raise NotFound(f"there is no key {key_id!r}")
        with self.store.write() as session:
            if not KeyRows(session).revoke(key_id, tenant, now_utc()):
                raise NotFound(f"there is no key {key_id}")

    def open_session(self, actor: Actor) -> NewKey:
        """A session of a key. Raises NotAllowed for a session, which would outlive itself."""
        if actor.session_id:
            raise NotAllowed("a session can't open another: sign in with a key")
        now = now_utc()
        with self.store.write() as session:
            rows = KeyRows(session)
            parent = rows.find(actor.key_id)
            if parent is None or not parent.good(now):
                raise NotSignedIn("this key is unknown, expired or revoked")
            ends = now + timedelta(seconds=self.session_seconds)
            if parent.expires is not None:
                ends = min(ends, parent.expires)
            new = _mint(
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
        """End the session that asks. Raises NotAllowed for a key, which is revoked by its id."""
        if not actor.session_id:
            raise NotAllowed("this is a key, not a session: revoke it by its id")
        with self.store.write() as session:
            KeyRows(session).end_session(actor.session_id, actor.tenant, now_utc())

    def _note_use(self, key: Key, now: datetime) -> None:
        if key.last_used is not None and now - key.last_used < _USE_NOTED:
            return
        try:
            with self.store.write() as session:
                KeyRows(session).used(key.id, now)
        except Unavailable:
            return  # a busy database must not turn a good key away


def _refuse_session(actor: Actor | None) -> None:
    if actor and actor.session_id:
        raise NotAllowed("a session can't make or revoke keys: use a key itself")


def _refuse_taken_name(rows: KeyRows, new: Key) -> None:
    """Names that only differ in capitals are the same to whoever reads them."""
    name = new.name.casefold()
    for key in rows.list(new.tenant):
        if key.good(new.created) and key.name.casefold() == name:
            raise Conflict(
                f"a living key of tenant {new.tenant} has the name {key.name!r} already (its id is "
                f"{key.id}): choose another name, or revoke that key first"
            )


def _require_tenant(tenant: str) -> None:
    if not re.fullmatch(TENANT, tenant):
        raise InvalidRequest(
            f"{tenant!r} can't be a tenant: letters, digits, `_`, `.` and `-`, at most 64"
        )


def _mint(
    tenant: str,
    name: str,
    *,
    kind: Literal["key", "session"] = "key",
    created_by: str | None = None,
    parent: str | None = None,
    expires: datetime | None = None,
    scopes: frozenset[str] = ALL,
) -> NewKey:
    _require_tenant(tenant)
    name = unicodedata.normalize("NFC", name).strip()
    if not re.fullmatch(NAME, name):
        raise InvalidRequest(
            "a key needs a name: 1 to 100 characters of UTF-8, without control characters"
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
