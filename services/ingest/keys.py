"""API keys: `sp_<id>_<secret>`, shown once and stored as a hash.

The secret has 256 random bits, so a plain SHA-256 is enough: slow, salted hashes protect only
secrets that can be guessed. A check takes microseconds.

A rotated key has a new secret and the same id; the old secret works until a stated time.
A user has a row like a key, with a secret that nobody knows; sessions of the user belong to it. An
invitation is a key with which the user chooses a password.
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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.ingest.domain import Key, KeyKind, now_utc
from services.ingest.store import KeyRows
from shared.audit import operator, record
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound, NotSignedIn, Unavailable
from shared.storage import Store
from shared.storage.locks import lock
from shared.web.addresses import are_inside, parse_networks
from shared.web.auth import KEY, Actor, require_fresh
from shared.web.parameters import ID
from shared.web.scopes import ALL, parse_scopes, sort_scopes

TENANT = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
NAME = r"[^\x00-\x1f\x7f\ud800-\udfff]{1,100}"

SignInMethod = Literal["key", "link", "password", "openid"]
"""How a session was opened."""

_LETTERS = string.ascii_letters + string.digits
_SECRET_LENGTH = 43  # 62^43 > 2^256
OVERLAP = timedelta(days=1)
"""For how long the old secret of a rotated key works."""
_CHANGE = "create, rotate or revoke keys"
_OWN_NAMES = ("operator", "smallprint", "retention")
"""Names in the audit trail and on deletions for whoever has no key."""
_LINK_AGE = timedelta(hours=1)
_USE_NOTED = timedelta(minutes=5)
"""Resolution of `last_used` and of refusals, to avoid a write for every request."""
_MOST_REFUSED = 10_000


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
        self._refused: dict[tuple[str, str], datetime] = {}
        """When a key was last refused for a reason."""

    def check(self, secret: str) -> Actor | None:
        """Return the actor of a key, or None if it is unknown, expired or revoked."""
        key = self.find(secret)
        if key is None or key.kind == "invitation":
            return None
        return _actor(key)

    def find(self, secret: str) -> Key | None:
        with self.store.read() as session:
            key, wrong = known_key(KeyRows(session), secret)
        if key is None:
            return None
        if wrong:
            self._note_refusal(key, wrong, now_utc())
            return None
        self._note_use(key, now_utc())
        return key

    def create(
        self,
        tenant: str,
        name: str,
        *,
        scopes: Iterable[str] | None = None,
        expires: datetime | None = None,
        addresses: Iterable[str] = (),
        by: Actor | None = None,
    ) -> NewKey:
        """Create a key for a tenant.

        Args:
            scopes: None for all scopes of the creator.
            expires: when it stops working; None for never.
            addresses: addresses and networks from which it works; none for those of the creator.
            by: the creating key; None for the operator.

        Raises:
            InvalidRequest: invalid name, scopes or addresses, or an end in the past.
            Conflict: a valid key of the tenant has this name.
            NotAllowed: the creator lacks a scope or an address, or is a session that is not fresh,
                which the key would outlive.
        """
        require_fresh(by, _CHANGE)
        _require_future(expires)
        allowed = by.scopes if by else ALL
        wanted = allowed if scopes is None else parse_scopes(scopes)
        networks = parse_networks(addresses) or (by.addresses if by else ())
        require_grant(by, wanted, networks)
        new = new_key(
            tenant,
            name,
            scopes=wanted,
            expires=expires,
            addresses=networks,
            created_by=by.name if by else None,
        )
        with self.store.write() as session:
            lock(session, "keys")
            rows = KeyRows(session)
            require_free_name(rows, new.key)
            rows.add(new.key)
            record(
                session,
                by or operator(new.key.tenant),
                "key.create",
                new.key.id,
                name=new.key.name,
                scopes=sort_scopes(wanted),
                expires=_utc(expires),
                addresses=list(networks),
            )
        return new

    @contextmanager
    def temporary(self, tenant: str) -> Iterator[str]:
        """The secret of a session for the operator; it ends with the block, or in five minutes."""
        new = new_key(tenant, "operator", kind="session", expires=now_utc() + timedelta(minutes=5))
        with self.store.write() as session:
            KeyRows(session).add(new.key)
            record(session, _actor(new.key), "sign-in", new.key.id, method="command")
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

        Raises NotFound; SignInAgain for an older session.
        """
        require_fresh(by, _CHANGE)
        _require_id(key_id)
        with self.store.write() as session:
            rows = KeyRows(session)
            key = _existing(rows, key_id, tenant)
            rows.revoke(key_id, tenant, now_utc())
            record(session, by or operator(key.tenant), "key.revoke", key.id)

    def rotate(
        self,
        key_id: str,
        tenant: str | None = None,
        *,
        overlap: timedelta = OVERLAP,
        expires: datetime | None = None,
        addresses: Iterable[str] | None = None,
        by: Actor | None = None,
    ) -> NewKey:
        """Replace the secret of a key. Its open sessions end with the old secret.

        Args:
            tenant: None for any, for the operator.
            overlap: for how long the old secret works, too.
            expires: a new end of the key; None keeps it.
            addresses: new addresses of the key and its sessions. An empty list copies those of the
                acting key; None changes nothing.
            by: the acting key; None for the operator.

        Raises:
            NotFound: there is no such key.
            Conflict: it has expired or was revoked.
            InvalidRequest: invalid addresses, or an end in the past.
            NotAllowed: the acting key lacks a scope or an address of the key, or is an older
                session.
        """
        require_fresh(by, _CHANGE)
        _require_future(expires)
        now = now_utc()
        with self.store.write() as session:
            lock(session, "keys")
            rows = KeyRows(session)
            old = _existing(rows, key_id, tenant)
            if not old.good(now):
                raise Conflict(f"Key {key_id} has expired or was revoked. Create another.")
            require_grant(by, old.scopes, old.addresses)
            networks = old.addresses
            if addresses is not None:
                networks = parse_networks(addresses) or (by.addresses if by else ())
                require_grant(by, old.scopes, networks)
            secret = _new_secret()
            key = replace(
                old,
                digest=_digest(secret),
                expires=expires or old.expires,
                addresses=networks,
                old_digest=old.digest if overlap else None,
                old_secret_until=now + overlap,
            )
            rows.replace(key)
            record(
                session,
                by or operator(key.tenant),
                "key.change",
                key.id,
                what="rotate",
                expires=_utc(key.expires),
                addresses=list(networks),
                old_secret_until=_utc(key.old_secret_until if overlap else None),
            )
        return NewKey(key, f"sp_{key.id}_{secret}")

    def sessions(self, tenant: str | None = None, key_id: str | None = None) -> Sequence[Key]:
        """Return the open sessions of a key (None: of all), oldest first."""
        with self.store.read() as session:
            return KeyRows(session).sessions(tenant, key_id, now_utc())

    def end_session(
        self,
        session_id: str,
        tenant: str | None = None,
        key_id: str | None = None,
        *,
        by: Actor | None = None,
    ) -> None:
        """End an open session, of one key or (None) of any. Raises NotFound."""
        _require_id(session_id)
        with self.store.write() as session:
            rows = KeyRows(session)
            ended = rows.find(session_id)
            if not ended or not rows.end_sessions(
                tenant, now_utc(), session_id=session_id, parent=key_id
            ):
                raise NotFound(f"There is no open session {session_id}.")
            record(session, by or operator(ended.tenant), "sign-out", ended.id)

    def end_sessions(
        self, key_id: str, tenant: str | None = None, *, by: Actor | None = None
    ) -> int:
        """End all open sessions of a key. Returns their number. Raises NotFound."""
        with self.store.write() as session:
            rows = KeyRows(session)
            key = _existing(rows, key_id, tenant)
            number = rows.end_sessions(tenant, now_utc(), parent=key_id)
            record(session, by or operator(key.tenant), "sign-out", key.id, sessions=number)
            return number

    def open_link(self, actor: Actor) -> NewKey:
        """Create a link that opens one session of a key. Raises NotAllowed for another holder."""
        new = new_key(
            actor.tenant,
            actor.name,
            kind="link",
            parent=actor.key_id,
            expires=now_utc() + _LINK_AGE,
            scopes=frozenset(),
            addresses=actor.addresses,
        )
        with self.store.write() as session:
            rows = KeyRows(session)
            parent = rows.find(actor.key_id)
            if actor.session_id or not parent or parent.kind != "key":
                raise NotAllowed("Only a key can create a link that signs in.")
            rows.add(new.key)
            record(session, actor, "link.create", new.key.id)
        return new

    def open_session(
        self, actor: Actor, address: str | None = None, user_agent: str | None = None
    ) -> NewKey:
        """Create a session of a key. A link ends with it.

        Args:
            address: of the browser.
            user_agent: the browser's name for itself.

        Raises NotAllowed for a session.
        """
        if actor.session_id:
            raise NotAllowed("A session can't open another session. Sign in with a key.")
        now = now_utc()
        with self.store.write() as session:
            rows = KeyRows(session)
            parent = rows.find(actor.key_id)
            method: SignInMethod = "key"
            if parent and parent.kind == "link":
                method = "link"
                unused = rows.remove(parent.id)
                parent = rows.find(parent.parent) if unused and parent.parent else None
            if parent is None or not parent.good(now):
                raise NotSignedIn
            return self.add_session(rows, parent, method, address, user_agent)

    def add_session(
        self,
        rows: KeyRows,
        parent: Key,
        method: SignInMethod,
        address: str | None = None,
        user_agent: str | None = None,
    ) -> NewKey:
        """Create a session of a key or user, in a transaction; see `open_session`.

        Args:
            method: how the holder signed in, for the audit trail.
        """
        now = now_utc()
        ends = now + timedelta(seconds=self.session_seconds)
        if parent.expires is not None:
            ends = min(ends, parent.expires)
        new = new_key(
            parent.tenant,
            parent.name,
            kind="session",
            parent=parent.id,
            expires=ends,
            scopes=parent.scopes,
            addresses=parent.addresses,
            address=_printable(address, 64),
            user_agent=_printable(user_agent, 200),
        )
        rows.forget_sessions_before(now - timedelta(days=1))
        rows.add(new.key)
        about = {"address": new.key.address, "method": method}
        record(rows.session, _actor(new.key), "sign-in", new.key.id, **about)
        return new

    def close_session(self, actor: Actor) -> None:
        """End the current session. Raises NotAllowed for a key."""
        if not actor.session_id:
            raise NotAllowed("This is a key, not a session. Revoke it by its id.")
        with self.store.write() as session:
            rows = KeyRows(session)
            rows.end_sessions(actor.tenant, now_utc(), session_id=actor.session_id)
            record(session, actor, "sign-out", actor.session_id)

    def _note_use(self, key: Key, now: datetime) -> None:
        if key.last_used is not None and now - key.last_used < _USE_NOTED:
            return
        try:
            with self.store.write() as session:
                KeyRows(session).used(key.id, now)
        except Unavailable:
            return  # a busy database must not refuse a valid key

    def _note_refusal(self, key: Key, reason: str, now: datetime) -> None:
        """Record a refused key, at most once in five minutes for each reason."""
        last = self._refused.get((key.id, reason))
        if last is not None and now - last < _USE_NOTED:
            return
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[key.id, reason] = now
        with suppress(Unavailable), self.store.write() as session:
            record(session, _actor(key), "refuse", key.id, reason=reason)


def _actor(key: Key) -> Actor:
    """Return the actor of a key or session."""
    session = key.id if key.parent and key.kind == "session" else None
    return Actor(
        key.tenant,
        key.name,
        key_id=(key.parent if session else None) or key.id,
        session_id=session,
        scopes=key.scopes,
        addresses=key.addresses,
        signed_in=key.created if session else None,
    )


def require_grant(by: Actor | None, scopes: frozenset[str], networks: tuple[str, ...]) -> None:
    """Raise NotAllowed for a key or user that may do more than the one that makes it."""
    if by and (lacking := sort_scopes(scopes - by.scopes)):
        raise NotAllowed(f"You can't grant scopes that you lack: {', '.join(lacking)}.")
    if by and not are_inside(networks, by.addresses):
        raise NotAllowed(
            f"You can't grant addresses that you lack. You have {', '.join(by.addresses)}."
        )


def _utc(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat() if time else None


def _require_future(expires: datetime | None) -> None:
    if expires is not None and expires <= now_utc():
        raise InvalidRequest("A key can't expire in the past.")


def _require_id(key_id: str) -> None:
    if not re.fullmatch(ID, key_id):
        raise NotFound(f"There is no key or session {key_id!r}.")


def _existing(rows: KeyRows, key_id: str, tenant: str | None) -> Key:
    """Return a key of a tenant (None: of any). Raises NotFound."""
    _require_id(key_id)
    key = rows.find(key_id)
    if key is None or key.kind != "key" or tenant not in (None, key.tenant):
        raise NotFound(f"There is no key {key_id}.")
    return key


def known_key(rows: KeyRows, secret: str) -> tuple[Key | None, str]:
    """Return the key that a secret names, and why the secret is refused; empty if it is valid."""
    form = KEY.fullmatch(secret)
    key = rows.find(form.group(1)) if form else None
    if form is None or key is None:
        return None, "unknown"
    parent = rows.find(key.parent) if key.parent else None
    # Look up by id, then compare in constant time.
    now = now_utc()
    if not _has_secret(key, form.group(2), now):
        return key, "wrong secret"
    if not key.good(now) or (key.parent and not (parent and parent.good(now))):
        return key, "expired or revoked"
    return key, ""


def _has_secret(key: Key, secret: str, now: datetime) -> bool:
    digest = _digest(secret)
    if hmac.compare_digest(key.digest, digest):
        return True
    until = key.old_secret_until
    is_old = until is not None and now < until and key.old_digest is not None
    return is_old and hmac.compare_digest(key.old_digest or b"", digest)


def _printable(text: str | None, length: int) -> str | None:
    """Return what a client sent without control characters, shortened."""
    return "".join(filter(str.isprintable, text))[:length] if text else None


def require_free_name(rows: KeyRows, new: Key) -> None:
    """Raise Conflict for a name in use; capitals make no difference to people.

    Raises InvalidRequest for a name of smallprint's own, and for one with invisible characters.
    """
    name = new.name.casefold()
    if name in _OWN_NAMES:
        raise InvalidRequest(f"smallprint itself uses the name {new.name!r}. Choose another.")
    if not new.name.isprintable():
        raise InvalidRequest(f"The name {new.name!r} has invisible characters.")
    for key in rows.named(new.tenant):
        if key.id != new.id and key.good(now_utc()) and key.name.casefold() == name:
            end = "disable that user" if key.kind == "user" else "revoke that key"
            raise Conflict(
                f"{key.kind.capitalize()} {key.id} of tenant {new.tenant} already has the name "
                f"{key.name!r}. A decision shows only the name, so no two users or keys have the "
                f"same. Choose another, such as '{key.name} 2', or {end} first."
            )


def _require_tenant(tenant: str) -> None:
    if not re.fullmatch(TENANT, tenant):
        raise InvalidRequest(
            f"{tenant!r} is not a valid tenant. Use at most 64 letters, digits, `_`, `.` and `-`."
        )


def new_key(
    tenant: str,
    name: str,
    *,
    kind: KeyKind = "key",
    created_by: str | None = None,
    parent: str | None = None,
    expires: datetime | None = None,
    scopes: frozenset[str] = ALL,
    addresses: tuple[str, ...] = (),
    address: str | None = None,
    user_agent: str | None = None,
) -> NewKey:
    """Make a key with a new secret; nothing is stored."""
    _require_tenant(tenant)
    name = unicodedata.normalize("NFC", name).strip()
    if not re.fullmatch(NAME, name):
        raise InvalidRequest("A name has 1 to 100 UTF-8 characters, without control characters.")
    key_id, secret = secrets.token_hex(8), _new_secret()
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
        addresses=addresses,
        address=address,
        user_agent=user_agent,
    )
    return NewKey(key, f"sp_{key_id}_{secret}")


def _new_secret() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
