"""Commands on users: add, change, invite, choose a password, sign in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.ingest.domain import Key, now_utc
from services.ingest.keys import (
    KeyRing,
    NewKey,
    SignInMethod,
    known_key,
    new_key,
    require_free_name,
    require_grant,
)
from services.ingest.users.domain import Identity, Resource, User, read_email
from services.ingest.users.passwords import LONGEST, hash_password, is_password
from services.ingest.users.store import Users
from services.ingest.webhooks.store import Webhooks
from shared.audit import operator, record
from shared.errors import (
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotSignedIn,
    TooManyRequests,
)
from shared.storage import Store
from shared.storage.locks import lock
from shared.storage.secret import SIGN_IN, secret_named
from shared.web.addresses import client_network
from shared.web.admission import ConcurrencyLimit, RateLimit
from shared.web.auth import Actor, require_fresh
from shared.web.scopes import ROLES, Role, sort_scopes

ATTEMPTS = 10
"""Passwords that may be tried for one user from one address in a minute, in one process."""
FAILURES = 30
"""Wrong passwords from one address in a minute, for all users. Above it, one password a minute may
be tried for each user, so that others at the address can still sign in."""
REFUSAL_SECONDS = 0.1
"""From the check of a wrong password to the answer: longer than the line in the audit trail takes,
which only known users have."""
_CHANGE = "change users"
_INVITATION_AGE = timedelta(days=3)
_WRONG = "The e-mail address or the password is wrong, or this user is disabled."


class NoAccount(NotSignedIn):
    """The provider signed in a person who is no user."""

    code = "no_account"


@dataclass(frozen=True)
class Browser:
    """Where a session is opened, for the list of sessions."""

    address: str | None = None
    user_agent: str | None = None


class UserCommands:
    """Commands on users. `by` is the acting admin, None for the operator."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self.store = store
        self.keys = keys
        self._attempts = RateLimit(ATTEMPTS)
        self._hashing = ConcurrencyLimit(2, "signing in")  # each needs 64 MiB
        self._failures = RateLimit(FAILURES)
        self._last_attempts = RateLimit(1)

    def list(self, tenant: str | None) -> list[User]:
        """Return the users of a tenant (None: of all), by name."""
        with self.store.read() as session:
            return Users(session).list(tenant)

    def own(self, actor: Actor) -> User:
        """Return the user who acts. Raises NotFound for a key."""
        with self.store.read() as session:
            user = Users(session).get(actor.key_id, actor.tenant)
        if user is None:
            raise NotFound(f"{actor.name} is a key, not a user.")
        return user

    def cookie_key(self) -> bytes:
        """Return the key that signs the cookie of a sign-in at a provider."""
        with self.store.read() as session:
            return secret_named(session, SIGN_IN)

    def with_email(self, email: str) -> User:
        """Return the user with an address, for the operator. Raises NotFound."""
        with self.store.read() as session:
            user = Users(session).with_email(read_email(email))
        if user is None:
            raise NotFound(f"There is no user with the address {email!r}.")
        return user

    def resources(self, user_id: str, tenant: str | None) -> Sequence[Resource]:
        """Return the keys, users and webhooks that a user created or changed and that still work.

        Those that these keys created or changed later are among them. Raises NotFound.
        """
        with self.store.read() as session:
            users = Users(session)
            return _resources(users, _existing(users, user_id, tenant)[0])[0]

    def any(self) -> bool:
        """Whether there is a user who can sign in with a password."""
        with self.store.read() as session:
            return Users(session).any_password()

    def add(
        self, tenant: str, name: str, email: str, role: Role, *, by: Actor | None = None
    ) -> tuple[User, NewKey]:
        """Add a user. Returns it with an invitation.

        Raises:
            InvalidRequest: the name or the address is invalid.
            Conflict: a key or user has this name, or a user this address.
            NotAllowed: the role has scopes that the admin lacks, or SignInAgain for an older
                session.
        """
        require_fresh(by, _CHANGE)
        created_by, addresses = (by.name, by.addresses) if by else (None, ())
        require_grant(by, ROLES[role], addresses)
        email = read_email(email)
        key = new_key(
            tenant,
            name,
            kind="user",
            created_by=created_by,
            scopes=ROLES[role],
            addresses=addresses,
        ).key
        user = User(key.id, tenant, key.name, email, role, key.created, created_by)
        with self.store.write() as session:
            lock(session, "keys")
            users = Users(session)
            require_free_name(users.keys, key)
            if users.with_email(email):
                raise Conflict(f"There is already a user with the address {email}.")
            users.keys.add(key)
            users.add(user)
            record(session, by or operator(tenant), "user.create", user.id, name=name, role=role)
            return user, _add_invitation(users, key)

    def invite(
        self, user_id: str, tenant: str | None, *, by: Actor | None = None
    ) -> tuple[User, NewKey]:
        """Return a user and a new invitation, with which they choose another password.

        Earlier invitations end. Raises NotFound; NotAllowed, see `add`.
        """
        require_fresh(by, _CHANGE)
        with self.store.write() as session:
            users = Users(session)
            user, key = _existing(users, user_id, tenant)
            require_grant(by, key.scopes, key.addresses)
            users.keys.remove_invitations(user.tenant, user.id)
            record(session, by or operator(user.tenant), "user.change", user.id, what="invite")
            return user, _add_invitation(users, key)

    def change(
        self,
        user_id: str,
        tenant: str | None,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
        revoke_keys: bool = False,
        by: Actor | None = None,
    ) -> User:
        """Change the role of a user, or disable or enable them; None changes nothing.

        Their sessions end. Disabling also ends open invitations that they, or keys among
        `resources`, made. Users whom an admin with limited addresses adds have the same limits.

        Args:
            revoke_keys: also revoke the keys among `resources`, if the user is disabled.

        Raises:
            NotFound: there is no such user.
            Conflict: somebody has the name of an enabled user by now.
            InvalidRequest: keys are revoked only of a disabled user.
            NotAllowed: see `add`; and for oneself.
        """
        require_fresh(by, _CHANGE)
        if revoke_keys and not disabled:
            raise InvalidRequest("revoke_keys needs disabled = true.")
        with self.store.write() as session:
            users = Users(session)
            user, key = _existing(users, user_id, tenant)
            if by and by.key_id == user.id:
                raise NotAllowed("You can't change your own role or disable yourself.")
            require_grant(by, key.scopes, key.addresses)
            if role is not None:
                require_grant(by, ROLES[role], key.addresses)
                users.change(user, role=role)
                users.keys.change_user(key, scopes=" ".join(sort_scopes(ROLES[role])))
            if disabled is False:
                lock(session, "keys")
                require_free_name(users.keys, key)
            found, invited = _resources(users, user) if disabled else ([], [])
            if disabled is not None:
                since = key.revoked or now_utc()
                users.keys.change_user(key, revoked=since if disabled else None)
                users.keys.remove_invitations(user.tenant, user.id, *invited)
            users.keys.end_sessions(user.tenant, now_utc(), parent=user.id)
            actor = by or operator(user.tenant)
            changes: dict[str, Any] = {"role": role, "disabled": disabled}
            about = {name: value for name, value in changes.items() if value is not None}
            record(session, actor, "user.change", user.id, **about)
            for one in found if revoke_keys else ():
                if one.kind == "key":
                    users.keys.revoke(one.id, user.tenant, now_utc())
                    record(session, actor, "key.revoke", one.id)
            return _existing(users, user_id, tenant)[0]

    def invited(self, invitation: str) -> User:
        """Return the user of an invitation. Raises NotSignedIn if it is used or expired."""
        with self.store.read() as session:
            return _invited(Users(session), invitation)

    def choose_password(
        self, invitation: str, password: str, browser: Browser = Browser()
    ) -> NewKey:
        """Set the password of an invited user. Returns a session; the others of the user end.

        Raises NotSignedIn if the invitation is unknown, used or expired; InvalidRequest for the
        password.
        """
        hashed = self._hash(self.invited(invitation), password)
        with self.store.write() as session:
            users = Users(session)
            user = _invited(users, invitation)
            return self._set_password(users, user, hashed, browser)

    def change_password(
        self, actor: Actor, current: str, password: str, browser: Browser = Browser()
    ) -> NewKey:
        """Set another password. Returns a new session; the user's other sessions end.

        Raises NotAllowed if the actor is no user, or the current password is wrong.
        """
        with self.store.read() as session:
            user = Users(session).get(actor.key_id, actor.tenant)
        if user is None or not self._is_password(user.email, user.password, current, browser):
            raise NotAllowed("The current password is wrong.")
        hashed = self._hash(user, password)
        with self.store.write() as session:
            return self._set_password(Users(session), user, hashed, browser)

    def sign_in(self, email: str, password: str, browser: Browser = Browser()) -> NewKey:
        """Open a session. Raises NotSignedIn; TooManyRequests after many tries."""
        email = email.strip().casefold()[:254]
        with self.store.read() as session:
            user = Users(session).with_email(email)
        right = self._is_password(email, user.password if user else None, password, browser)
        refused_at = time.monotonic() + REFUSAL_SECONDS
        if user is not None:
            with self.store.write() as session:
                if right and not user.disabled:
                    return self._open_session(Users(session), user, "password", browser)
                reason = "disabled" if right else "wrong password"
                record(session, _actor(user), "refuse", user.id, reason=reason)
        time.sleep(max(0.0, refused_at - time.monotonic()))
        raise NotSignedIn(_WRONG)

    def sign_in_by_provider(self, identity: Identity, browser: Browser = Browser()) -> NewKey:
        """Open a session for a user whom the provider named.

        The first time they are found by their verified address, later by their subject. Raises
        NotSignedIn for a person who is no user.
        """
        subject = f"{identity.issuer} {identity.subject}"
        with self.store.write() as session:
            users = Users(session)
            user = users.with_subject(subject)
            first = user is None
            if first and identity.email:
                user = users.with_email(read_email(identity.email))
                if user and user.subject is not None:  # another person's address by now
                    user = None
            if user is None:
                raise NoAccount(
                    "You have no account here. Ask an admin to add your e-mail address; the "
                    "provider must have verified it."
                )
            if not user.disabled:
                if first:
                    users.change(user, subject=subject)
                    about = {"what": "openid", "issuer": identity.issuer}
                    record(session, _actor(user), "user.change", user.id, **about)
                return self._open_session(users, user, "openid", browser)
            record(session, _actor(user), "refuse", user.id, reason="disabled")
        raise NotSignedIn(_WRONG)

    def _hash(self, user: User, password: str) -> str:
        with self._hashing.acquire(user.id):
            return hash_password(password, not_in=(user.name, *user.email.split("@")[:1]))

    def _is_password(self, email: str, hashed: str | None, password: str, browser: Browser) -> bool:
        address = client_network(browser.address)
        many_wrong = self._failures.is_used_up(address)
        attempts = self._last_attempts if many_wrong else self._attempts
        try:
            attempts.take(f"{email} {address}")
        except TooManyRequests as error:
            raise TooManyRequests(
                "Too many passwords were tried. Wait a moment, then try again.",
                headers=error.headers,
            ) from None
        with self._hashing.acquire(address):
            right = is_password(hashed, password[: LONGEST + 1])
        if not right:
            with suppress(TooManyRequests):
                self._failures.take(address)
        return right

    def _set_password(self, users: Users, user: User, hashed: str, browser: Browser) -> NewKey:
        users.change(user, password=hashed)
        users.keys.remove_invitations(user.tenant, user.id)
        users.keys.end_sessions(user.tenant, now_utc(), parent=user.id)
        record(users.session, _actor(user), "user.change", user.id, what="password")
        return self._open_session(users, user, "password", browser)

    def _open_session(
        self, users: Users, user: User, method: SignInMethod, browser: Browser
    ) -> NewKey:
        _, key = _existing(users, user.id, user.tenant)
        users.keys.used(user.id, now_utc())
        return self.keys.add_session(users.keys, key, method, browser.address, browser.user_agent)


def _actor(user: User) -> Actor:
    return Actor(user.tenant, user.name, user.id, scopes=ROLES[user.role])


def _existing(users: Users, user_id: str, tenant: str | None) -> tuple[User, Key]:
    """Return a user and their key. Raises NotFound."""
    user, key = users.get(user_id, tenant), users.keys.find(user_id)
    if user is None or key is None:
        raise NotFound(f"There is no user {user_id}.")
    return user, key


def _resources(users: Users, user: User) -> tuple[list[Resource], list[str]]:
    """Return what a user created or changed, and ids of users whose last invitation they made.

    They may know the secret of a key that they created or rotated. So what it did later counts as
    theirs.
    """
    holders, changed, invited = {user.id}, set[str](), dict[str, bool]()
    for actor_id, action, subject in users.changes(user.tenant):
        by_them = actor_id in holders
        if action.startswith("user."):
            invited[subject] = by_them
        if by_them:
            changed.add(subject)
        if by_them and action.startswith("key."):
            holders.add(subject)
    found = [
        Resource("key" if key.kind == "key" else "user", key.id, key.name)
        for key in sorted(users.keys.named(user.tenant), key=lambda key: key.created)
        if key.id in changed - {user.id} and key.good(now_utc())
    ]
    found += [
        Resource("webhook", hook.id, hook.url)
        for hook in Webhooks(users.session, user.tenant).all()
        if hook.enabled and hook.id in changed
    ]
    return found, [user_id for user_id, by_them in invited.items() if by_them]


def _invited(users: Users, invitation: str) -> User:
    key, wrong = known_key(users.keys, invitation)
    if key is None or wrong or key.kind != "invitation" or key.parent is None:
        raise NotSignedIn("This invitation has been used or has expired. Ask an admin for another.")
    return _existing(users, key.parent, key.tenant)[0]


def _add_invitation(users: Users, user: Key) -> NewKey:
    new = new_key(
        user.tenant,
        user.name,
        kind="invitation",
        parent=user.id,
        expires=now_utc() + _INVITATION_AGE,
        scopes=frozenset(),
    )
    users.keys.add(new.key)
    return new
