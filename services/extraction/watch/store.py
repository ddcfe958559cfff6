"""Extraction's tables of what is watched (`shared/storage/watches.py`): of clauses in contracts."""

from __future__ import annotations

from sqlalchemy import func, literal_column, select

from services.extraction.store import clauses, metadata
from shared.storage import watches


class Watches(watches.Watches):
    """What one tenant's promises about clauses have come to."""

    tables = watches.Tables.of(metadata, "clause_id", "document_id")

    def accepted(self) -> dict[str, int]:
        """How many clauses of the documents that are kept the machine accepted, by specialist."""
        query = select(clauses.c.adapter, func.count()).where(
            clauses.c.tenant == self.tenant,
            clauses.c.route == literal_column("'accept'"),  # as the index has it
        )
        rows = self.session.execute(query.group_by(clauses.c.adapter))
        return {adapter: int(many) for adapter, many in rows}
