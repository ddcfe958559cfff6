"""The keys that are known, and what was answered. Every query names the tenant, but for the sweep.

A row begins with a claim, which lasts for some seconds and is renewed while the work goes on:
whoever dies over it leaves it to the next request of the same key. It ends with the answer. Without
one (the request was refused, or something was away) it stays, so that the key is good for the same
request alone.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    and_,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.ingest.idempotency.domain import Answer, KeyReused, KeySpent, StillAtWork
from services.ingest.store import documents, metadata
from shared.storage.locks import lock
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants

CLAIMED = timedelta(seconds=15)
"""For how long a claim lasts that nobody renews; then the next request of its key takes over."""

keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("fingerprint", String(64)),
    Column("claim", String(32)),
    Column("claimed_until", Time),
    Column("status", Integer),
    Column("body", JSON(none_as_null=True)),
    Column("headers", JSON(none_as_null=True)),
    Column("expires", Time, nullable=False),
    Index("idempotency_keys_expire", "expires"),
)
"""Without a fingerprint: what it brought was deleted, and nothing but the key is known."""

subjects = Table(
    "idempotency_subjects",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Index("idempotency_subjects_of_key", "tenant", "digest"),
)
"""Of what an answer tells: ids of documents, webhooks and uploads."""

T = TypeVar("T")
Note = Callable[[Session, T], None]
"""Called with what was made, in the transaction that makes it."""


def unnoted(_session: Session, _made: object) -> None:
    """Nothing is to be noted."""


class Claim:
    """The right to answer a request that has no key: nothing is kept of it."""

    kept = True

    def keep(self, session: Session, answer: Answer) -> None:
        """Keep the answer, in the transaction that did what was asked, or after it."""


class KeyClaim(Claim):
    """The right to answer the request with a key, for a while."""

    def __init__(self, tenant: str, digest: str, token: str) -> None:
        self.tenant = tenant
        self.digest = digest
        self.token = token
        self.kept = False

    def keep(self, session: Session, answer: Answer) -> None:
        """See Claim. Raises StillAtWork if somebody else took the request over meanwhile.

        The answer about something that is deleted already is not kept.
        """
        gone = _any_deleted(session, self.tenant, answer.about)
        done = {
            "fingerprint": None if gone else keys.c.fingerprint,
            "claim": None,
            "claimed_until": None,
            "status": answer.status,
            "body": None if gone else answer.body,
            "headers": None if gone else dict(answer.headers),
        }
        mine = and_(_is(self.tenant, self.digest), keys.c.claim == self.token)
        if not session.execute(update(keys).where(mine).values(done)).rowcount:  # type: ignore[attr-defined]
            raise StillAtWork("the request took so long that another one took it over: ask again")
        if answer.about and not gone:
            common = {"tenant": self.tenant, "digest": self.digest}
            rows = [{**common, "subject": one} for one in sorted(answer.about)]
            session.execute(insert(subjects), rows)
        self.kept = True

    def renew(self, session: Session, now: datetime) -> None:
        """The work goes on. A claim that another one has taken over stays with that one."""
        mine = and_(_is(self.tenant, self.digest), keys.c.claim == self.token)
        session.execute(update(keys).where(mine).values(claimed_until=now + CLAIMED))

    def release(self, session: Session) -> None:
        """Nothing was done: the same request may be made again."""
        mine = and_(_is(self.tenant, self.digest), keys.c.claim == self.token)
        session.execute(update(keys).where(mine).values(claim=None, claimed_until=None))


def claim(
    session: Session, tenant: str, digest: str, fingerprint: str, now: datetime, lasts: timedelta
) -> KeyClaim | Answer:
    """Begin the request of a key, or find what it was answered.

    Raises:
        KeyReused: the key was sent with another request.
        KeySpent: what it brought is deleted.
        StillAtWork: somebody is at it.
    """
    lock(session, f"idempotency key {digest} of {tenant}")
    row = session.execute(select(keys).where(_is(tenant, digest))).mappings().one_or_none()
    if row is not None and row["expires"] <= now:
        _remove(session, tenant, [digest])
        row = None
    if row is not None and (answer := _known(row, fingerprint, now)):
        return answer
    mine = KeyClaim(tenant, digest, secrets.token_hex(16))
    held = {"claim": mine.token, "claimed_until": now + CLAIMED}
    if row is None:
        new = {"tenant": tenant, "digest": digest, "fingerprint": fingerprint}
        session.execute(insert(keys).values(**new, **held, expires=now + lasts))
    else:
        session.execute(update(keys).where(_is(tenant, digest)).values(held))
    return mine


def forget_answers(session: Session, tenant: str, subject: str) -> None:
    """Forget every answer that tells of something, as it is deleted. The keys stay known: a request
    that comes late must not bring it back.
    """
    about = and_(subjects.c.tenant == tenant, subjects.c.subject == subject)
    digests = list(session.execute(select(subjects.c.digest).where(about)).scalars())
    for digest in digests:
        spent = {"fingerprint": None, "body": None, "headers": None}
        session.execute(update(keys).where(_is(tenant, digest)).values(spent))
        _forget_subjects(session, tenant, [digest])


def remove_expired(session: Session, now: datetime, most: int = 500) -> int:
    """Remove some keys of any tenant whose time is over. Returns how many."""
    old = select(keys.c.tenant, keys.c.digest).where(keys.c.expires <= now).limit(most)
    found = session.execute(across_tenants(old, "keys whose time is over")).all()
    of: defaultdict[str, list[str]] = defaultdict(list)
    for tenant, digest in found:
        of[tenant].append(digest)
    for tenant, digests in of.items():
        _remove(session, tenant, digests)
    return len(found)


def _known(row: RowMapping, fingerprint: str, now: datetime) -> Answer | None:
    if row["fingerprint"] is None:
        raise KeySpent(
            "this Idempotency-Key has done its work, and what it brought was deleted since: send a"
            " new key to bring it again"
        )
    if row["fingerprint"] != fingerprint:
        raise KeyReused(
            "this Idempotency-Key was sent with another request before: send a new key with each"
            " new request"
        )
    if row["status"] is not None:
        return Answer(row["status"], row["body"], row["headers"])
    if row["claimed_until"] is not None and row["claimed_until"] > now:
        raise StillAtWork(
            "the first request with this Idempotency-Key is being worked on: ask again in a moment;"
            f" if it was cut off, that works after {CLAIMED.total_seconds():g} seconds"
        )
    return None


def _any_deleted(session: Session, tenant: str, ids: frozenset[str]) -> bool:
    gone = and_(
        documents.c.tenant == tenant, documents.c.id.in_(ids), documents.c.deleted.is_not(None)
    )
    return bool(ids) and bool(session.execute(select(exists().where(gone))).scalar_one())


def _remove(session: Session, tenant: str, digests: list[str]) -> None:
    session.execute(delete(keys).where(keys.c.tenant == tenant, keys.c.digest.in_(digests)))
    _forget_subjects(session, tenant, digests)


def _forget_subjects(session: Session, tenant: str, digests: list[str]) -> None:
    of_these = and_(subjects.c.tenant == tenant, subjects.c.digest.in_(digests))
    session.execute(delete(subjects).where(of_these))


def _is(tenant: str, digest: str) -> ColumnElement[bool]:
    return and_(keys.c.tenant == tenant, keys.c.digest == digest)
