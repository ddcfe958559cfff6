"""Triage's tables of what is watched (`shared/storage/watches.py`): of findings in filings.

`checks` has the surest finding of each filing that people are asked about, whether it was drawn
from what could be accepted or is not sure enough; `family` is its filer, by a secret name. Of a
filer one check counts for a promise.
"""

from __future__ import annotations

from sqlalchemy import Column, String, func, literal_column, select, update

from services.triage.risk import NAME
from services.triage.store import findings, metadata
from shared.storage import watches


class Watches(watches.Watches):
    """What one tenant's promise about findings has come to."""

    tables = watches.Tables.of(metadata, "finding_id", "filing_id", Column("family", String(64)))

    def counts_already(self, promise: str, family: str) -> bool:
        """Whether a check of a filer counts for a promise, or will once it is decided."""
        checks = self.tables.checks
        mine = (
            checks.c.tenant == self.tenant,
            checks.c.adapter == NAME,
            checks.c.promise == promise,
            checks.c.family == family,
        )
        return self.session.execute(select(1).where(*mine).limit(1)).first() is not None

    def accepted(self) -> dict[str, int]:
        """How many findings of the documents that are kept the machine accepted."""
        query = select(func.count()).where(
            findings.c.tenant == self.tenant,
            findings.c.route == literal_column("'accept'"),  # as the index has it
        )
        return {NAME: int(self.session.execute(query).scalar_one())}

    def forget_filers(self, document_id: str) -> None:
        """Forget whose the filings of a deleted document are; what was decided stays."""
        checks = self.tables.checks
        mine = checks.c.tenant == self.tenant, checks.c.document_id == document_id
        self.session.execute(update(checks).where(*mine).values(family=None))

    def decided_of(self, document_id: str) -> list[str]:
        """The ids of the findings of a document about which something is decided, in order."""
        checks = self.tables.checks
        query = select(checks.c.result_id).where(
            checks.c.tenant == self.tenant,
            checks.c.document_id == document_id,
            checks.c.wrong.is_not(None),
        )
        return list(self.session.execute(query.order_by(checks.c.result_id)).scalars())
