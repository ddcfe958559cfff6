"""Triage's tables of what is watched (`shared/storage/watches.py`): of findings in filings.

`checks` has the surest finding of each filing that people are asked about, whether it was drawn
from what could be accepted or is not sure enough; `family` is its filer, by a secret name. Of a
filer one check counts for a promise.
"""

from __future__ import annotations

from sqlalchemy import Column, String, func, literal_column, select

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
