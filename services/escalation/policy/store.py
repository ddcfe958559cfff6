"""Versions of the rules of tenants, and the table of those that were in force.

A version does not depend on the format of the file.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, select
from sqlalchemy.orm import Session

from shared.messaging.tables import Time
from shared.runtime.rounds import PeriodicJob
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_new

DIGITS = 12  # hexadecimal digits of the digest


@dataclass(frozen=True)
class Version:
    """Rules as canonical JSON, with its digest and the label of the file."""

    digest: str
    label: str
    rules: str


@dataclass(frozen=True)
class PolicyVersion:
    """A version and the time since when it was in force."""

    version: Version
    since: datetime


def version_of(rules: Mapping[str, Any], label: str = "") -> Version:
    """Return the version of validated rules, with defaults.

    The text is JSON with sorted keys, no spaces, normalised amounts and sorted sets. Comments and
    formatting of the file do not change it.
    """
    text = json.dumps(_plain(rules), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Version(hashlib.sha256(text.encode()).hexdigest()[:DIGITS], label, text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date) else value


metadata = MetaData()

policies = Table(
    "policies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(12), nullable=False),
    Column("label", String(64), nullable=False),
    Column("rules", Text, nullable=False),
    Column("since", Time, nullable=False),
)


class PolicyHistory:
    """The history of one tenant's rules."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def newest(self, limit: int = 1_000) -> list[PolicyVersion]:
        """Return the versions, the one in force first."""
        rows = self._newest(limit)
        return [PolicyVersion(Version(row.digest, row.label, row.rules), row.since) for row in rows]

    def note(self, version: Version, now: datetime) -> bool:
        """Store a version as in force from now on, unless it is already. Returns whether it was
        stored.

        If two processes start with the same file at once, one of them stores it.
        """
        last = next(iter(self._newest(1)), None)
        if last and (last.digest, last.label) == (version.digest, version.label):
            return False
        number = last.number + 1 if last else 1
        values = {"tenant": self.tenant, "number": number, "since": now, **vars(version)}
        return insert_new(self.session, policies, **values)

    def _newest(self, limit: int) -> Sequence[Any]:
        query = select(policies).where(policies.c.tenant == self.tenant)
        return self.session.execute(query.order_by(policies.c.number.desc()).limit(limit)).all()


def any_noted(session: Session) -> bool:
    """Whether a policy was ever in force for any tenant."""
    query = select(policies.c.digest).limit(1)
    return session.execute(across_tenants(query, "whether there is a policy")).first() is not None


def note_policies(
    store: Store, named: Mapping[str, Version], of: Callable[[str], Version], now: datetime
) -> None:
    """Store the version in force for each tenant of this policy file and of earlier ones.

    Args:
        named: the versions of the tenants in the file.
        of: gives the version of any tenant.
        now: the start of the versions.
    """
    with store.write() as session:
        query = across_tenants(select(policies.c.tenant).distinct(), "those that had a policy")
        known = session.execute(query).scalars()
        for tenant in sorted({*named, *known}):
            PolicyHistory(session, tenant).note(of(tenant), now)


class PolicyNotes(PeriodicJob):
    """Stores the policy of each tenant once after the start, with retries."""

    name = "policies"

    def __init__(self, note: Callable[[], None], interval: float) -> None:
        super().__init__(interval)
        self.note = note
        self.noted = False

    def work(self, _stop: threading.Event) -> None:
        """One round."""
        if not self.noted:
            self.note()
            self.noted = True
