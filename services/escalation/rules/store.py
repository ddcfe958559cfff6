"""The table of policies that were in force. Every query names the tenant, but that of the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, select
from sqlalchemy.orm import Session

from services.escalation.rules.domain import Held, Version
from shared.storage import Store
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants
from shared.storage.upsert import insert_new

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
    """Which rules of one tenant held when."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def newest(self, limit: int = 1_000) -> list[Held]:
        """The versions, that in force first."""
        rows = self.session.execute(
            select(policies)
            .where(policies.c.tenant == self.tenant)
            .order_by(policies.c.number.desc())
            .limit(limit)
        )
        return [Held(Version(row.digest, row.label, row.rules), row.since) for row in rows]

    def note(self, version: Version, now: datetime) -> bool:
        """Write down that a version holds from now on; returns whether another one did before.

        Two processes may start with the same file at once: one of them writes it.
        """
        last = self._last()
        if last and last[1:] == (version.digest, version.label):
            return False
        return insert_new(
            self.session,
            policies,
            tenant=self.tenant,
            number=last[0] + 1 if last else 1,
            since=now,
            **vars(version),
        )

    def _last(self) -> tuple[int, str, str] | None:
        """Number, digest and label of the version that held last."""
        row = self.session.execute(
            select(policies.c.number, policies.c.digest, policies.c.label)
            .where(policies.c.tenant == self.tenant)
            .order_by(policies.c.number.desc())
            .limit(1)
        ).first()
        return (row.number, row.digest, row.label) if row else None


def any_noted(session: Session) -> bool:
    """Whether a policy was ever in force for anybody."""
    query = select(policies.c.digest).limit(1)
    return session.execute(across_tenants(query, "whether there is a policy")).first() is not None


def note_policies(
    store: Store, named: Mapping[str, Version], of: Callable[[str], Version], now: datetime
) -> None:
    """Write down what holds for each tenant that the file names, or that one before it named.

    Args:
        store: of escalation.
        named: the versions of those that the file names.
        of: gives the version of any tenant.
        now: since when it holds.
    """
    with store.write() as session:
        query = across_tenants(select(policies.c.tenant).distinct(), "those that had a policy")
        known = session.execute(query).scalars()
        for tenant in sorted({*named, *known}):
            PolicyHistory(session, tenant).note(of(tenant), now)
