"""Triage's monitoring tables (`shared/monitoring/store.py`).

`checks` has the surest finding of each filing sent to people: audit samples, and findings below the
threshold. `family` is the filer's pseudonym; one check per filer counts for a guarantee.
"""

from __future__ import annotations

from sqlalchemy import Column, String, func, select, update

from services.triage.checks.classifier import NAME
from services.triage.store import accepted, findings, metadata
from shared.monitoring import store


class MonitoringStore(store.MonitoringStore):
    """The monitoring state of one tenant."""

    tables = store.Tables.of(metadata, "finding_id", "filing_id", Column("family", String(64)))

    def counts_already(self, guarantee: str, family: str) -> bool:
        """Whether a check of a filer counts for a guarantee already."""
        checks = self.tables.checks
        mine = (
            checks.c.tenant == self.tenant,
            checks.c.adapter == NAME,
            checks.c.guarantee == guarantee,
            checks.c.family == family,
        )
        return self.session.execute(select(1).where(*mine).limit(1)).first() is not None

    def count_accepted(self) -> dict[str, int]:
        """Number of accepted findings in stored documents."""
        query = select(func.count()).where(findings.c.tenant == self.tenant, accepted)
        return {NAME: int(self.session.execute(query).scalar_one())}

    def forget_filers(self, document_id: str) -> None:
        """Remove the filers of a deleted document; decisions stay."""
        checks = self.tables.checks
        mine = checks.c.tenant == self.tenant, checks.c.document_id == document_id
        self.session.execute(update(checks).where(*mine).values(family=None))

    def decided_of(self, document_id: str) -> list[str]:
        """Ids of the decided findings of a document, in order."""
        checks = self.tables.checks
        query = select(checks.c.result_id).where(
            checks.c.tenant == self.tenant,
            checks.c.document_id == document_id,
            checks.c.wrong.is_not(None),
        )
        return list(self.session.execute(query.order_by(checks.c.result_id)).scalars())
