"""Idempotency keys and stored answers. Every query names the tenant, except the cleanup.

A row starts with a claim of some seconds, which is renewed while the work goes on. If a process
dies, the next request with the key takes over. A row without an answer (the request was refused)
still binds the key to its request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.store import documents, metadata
from shared.errors import Conflict
from shared.messaging.tables import Time
from shared.storage.locks import lock
from shared.storage.tenant_isolation import across_tenants

CLAIM_LIFETIME = timedelta(seconds=15)
"""How long a claim lasts without renewal."""

keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("claim", sa.String(32)),
    sa.Column("claimed_until", Time),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.JSON(none_as_null=True)),
    sa.Column("headers", sa.JSON(none_as_null=True)),
    sa.Column("expires", Time, nullable=False),
    sa.Index("idempotency_keys_expire", "expires"),
)
"""A row without a fingerprint had its result deleted."""

subjects = sa.Table(
    "idempotency_subjects",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Index("idempotency_subjects_of_key", "tenant", "digest"),
)
"""Ids of documents, webhooks and uploads that an answer mentions."""


class KeyReused(Conflict):
    """The key belongs to another request."""

    code = "idempotency_key_reused"


class RequestInProgress(Conflict):
    """The first request with this key is still being processed."""

    code = "idempotency_in_flight"
    headers: Mapping[str, str] = {"retry-after": "1"}


class ResultDeleted(Conflict):
    """The result of the first request was deleted."""

    code = "idempotency_key_spent"


@dataclass(frozen=True)
class Answer:
    """The answer to a request; `body` is JSON or None.

    `about` are the ids that the body mentions: deleting one of them deletes the answer.
    """

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    about: frozenset[str] = frozenset()
    last: bool = True
    """Whether a repeated request must get this answer."""

    @property
    def good(self) -> bool:
        return self.status < 400


def hash_key(key: str) -> str:
    """Hash a key: clients may put readable text into it."""
    return hashlib.sha256(key.encode()).hexdigest()


def fingerprint(key: str, operation: str, identity: object) -> str:
    """Identify a request among those with the same key.

    It is keyed with the idempotency key, which is not stored, so that nobody can guess the content.
    A password in the request must have been through `slow_hash`.
    """
    text = json.dumps([operation, identity], sort_keys=True, ensure_ascii=True)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def slow_hash(key: str, password: str | None) -> str | None:
    """Hash a password too slowly to be guessed, even if the key is a plain word."""
    if password is None:
        return None
    salt = hash_key(key).encode()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()


T = TypeVar("T")
OnCreated = Callable[[Session, T], None]
"""Is called with the new object in the transaction that creates it."""


def ignore_created(_session: Session, _made: object) -> None:
    """Record nothing."""


class Claim:
    """The claim of a request without a key. It stores nothing."""

    stored = True

    def store(self, session: Session, answer: Answer) -> None:
        """Store the answer, in the transaction of the work or after it."""


class KeyClaim(Claim):
    """A claim on an idempotency key for a limited time."""

    def __init__(self, tenant: str, digest: str, token: str) -> None:
        self.tenant = tenant
        self.digest = digest
        self.token = token
        self.stored = False

    def store(self, session: Session, answer: Answer) -> None:
        """Store the answer unless a document in it is deleted already.

        Raises RequestInProgress if another request has taken over the claim.
        """
        deleted = _any_deleted(session, self.tenant, answer.about)
        done = {
            "fingerprint": None if deleted else keys.c.fingerprint,
            "claim": None,
            "claimed_until": None,
            "status": answer.status,
            "body": None if deleted else answer.body,
            "headers": None if deleted else dict(answer.headers),
        }
        if not session.execute(self._update().values(done)).rowcount:  # type: ignore[attr-defined]
            raise RequestInProgress(
                "The request took too long, and a repetition has taken over. Retry it."
            )
        if answer.about and not deleted:
            common = {"tenant": self.tenant, "digest": self.digest}
            rows = [{**common, "subject": one} for one in sorted(answer.about)]
            session.execute(sa.insert(subjects), rows)
        self.stored = True

    def renew(self, session: Session, now: datetime) -> None:
        """Extend the claim, unless another request has taken it over."""
        session.execute(self._update().values(claimed_until=now + CLAIM_LIFETIME))

    def release(self, session: Session) -> None:
        session.execute(self._update().values(claim=None, claimed_until=None))

    def _update(self) -> sa.Update:
        own = _is(self.tenant, self.digest), keys.c.claim == self.token
        return sa.update(keys).where(*own)


def claim(
    session: Session, tenant: str, digest: str, fingerprint: str, now: datetime, lifetime: timedelta
) -> KeyClaim | Answer:
    """Claim a key, or return its stored answer.

    Raises KeyReused, ResultDeleted, RequestInProgress.
    """
    lock(session, f"idempotency key {digest} of {tenant}")
    row = session.execute(sa.select(keys).where(_is(tenant, digest))).mappings().one_or_none()
    if row is not None and row["expires"] <= now:
        _remove(session, tenant, [digest])
        row = None
    if row is not None and (answer := _stored_answer(row, fingerprint, now)):
        return answer
    own = KeyClaim(tenant, digest, secrets.token_hex(16))
    lease = {"claim": own.token, "claimed_until": now + CLAIM_LIFETIME}
    if row is None:
        new = {"tenant": tenant, "digest": digest, "fingerprint": fingerprint}
        session.execute(sa.insert(keys).values(**new, **lease, expires=now + lifetime))
    else:
        session.execute(sa.update(keys).where(_is(tenant, digest)).values(lease))
    return own


def delete_answers(session: Session, tenant: str, subject: str) -> None:
    """Delete every answer about a deleted subject.

    The keys stay, so that a late repetition can't create the subject again.
    """
    about = sa.and_(subjects.c.tenant == tenant, subjects.c.subject == subject)
    digests = list(session.execute(sa.select(subjects.c.digest).where(about)).scalars())
    for digest in digests:
        spent = {"fingerprint": None, "body": None, "headers": None}
        session.execute(sa.update(keys).where(_is(tenant, digest)).values(spent))
        _forget_subjects(session, tenant, [digest])


def remove_expired(session: Session, now: datetime, limit: int = 500) -> int:
    """Remove some expired keys of any tenant. Returns how many."""
    old = sa.select(keys.c.tenant, keys.c.digest).where(keys.c.expires <= now).limit(limit)
    expired = session.execute(across_tenants(old, "expired keys")).all()
    of: defaultdict[str, list[str]] = defaultdict(list)
    for tenant, digest in expired:
        of[tenant].append(digest)
    for tenant, digests in of.items():
        _remove(session, tenant, digests)
    return len(expired)


def _stored_answer(row: sa.RowMapping, fingerprint: str, now: datetime) -> Answer | None:
    if row["fingerprint"] is None:
        raise ResultDeleted(
            "The result of this Idempotency-Key was deleted. Send a new key to create it again."
        )
    if row["fingerprint"] != fingerprint:
        raise KeyReused(
            "This Idempotency-Key belongs to another request. Send a new key with each new request."
        )
    if row["status"] is not None:
        return Answer(row["status"], row["body"], row["headers"])
    if row["claimed_until"] is not None and row["claimed_until"] > now:
        raise RequestInProgress(
            "The first request with this Idempotency-Key is still in progress. Retry "
            f"in a moment, or after {CLAIM_LIFETIME.total_seconds():g} seconds if it broke "
            "off."
        )
    return None


def _any_deleted(session: Session, tenant: str, ids: frozenset[str]) -> bool:
    deleted = sa.and_(
        documents.c.tenant == tenant, documents.c.id.in_(ids), documents.c.deleted.is_not(None)
    )
    return bool(ids) and bool(session.execute(sa.select(sa.exists().where(deleted))).scalar_one())


def _remove(session: Session, tenant: str, digests: list[str]) -> None:
    session.execute(sa.delete(keys).where(keys.c.tenant == tenant, keys.c.digest.in_(digests)))
    _forget_subjects(session, tenant, digests)


def _forget_subjects(session: Session, tenant: str, digests: list[str]) -> None:
    of_these = sa.and_(subjects.c.tenant == tenant, subjects.c.digest.in_(digests))
    session.execute(sa.delete(subjects).where(of_these))


def _is(tenant: str, digest: str) -> sa.ColumnElement[bool]:
    return sa.and_(keys.c.tenant == tenant, keys.c.digest == digest)
